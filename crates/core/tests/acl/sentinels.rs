//! The users of the Sentinels.

use crate::common::bus;
use crate::compiled;
use crate::engine::Users;

/// Commands of Redis 7.0, 8.0 and Valkey 9.1 in Sentinel mode. A Sentinel does not start with a rule for any other.
const COMMANDS: [&str; 15] = [
    "acl",
    "auth",
    "client",
    "command",
    "hello",
    "info",
    "ping",
    "psubscribe",
    "publish",
    "punsubscribe",
    "role",
    "sentinel",
    "shutdown",
    "subscribe",
    "unsubscribe",
];

fn users() -> Users {
    Users::of(&compiled(&bus("services: [{name: s}]")).sentinel)
}

#[test]
fn name_only_commands_that_sentinels_have() {
    let users = users();
    assert_eq!(users.names(), ["default", "operator", "s", "sentinel"]);
    for user in users.names() {
        for command in users.commands(user) {
            let container = command.split('|').next().unwrap();
            assert!(COMMANDS.contains(&container), "{user}: {command}");
        }
    }
}

#[test]
fn services_ask_and_watch_and_change_nothing() {
    let users = users();
    assert!(users.allows("s", "sentinel|get-master-addr-by-name"));
    assert!(users.allows_channel("s", "subscribe", "+switch-master"));
    assert!(users.allows_channel("s", "psubscribe", "[-+]sdown"));
    for channel in ["__sentinel__:hello", "*"] {
        assert!(
            !users.allows_channel("s", "subscribe", channel),
            "{channel}"
        );
        assert!(
            !users.allows_channel("s", "psubscribe", channel),
            "{channel}"
        );
    }
    for command in [
        "publish",
        "sentinel|set",
        "sentinel|monitor",
        "sentinel|failover",
        "sentinel|config",
        "acl|list",
        "info",
        "shutdown",
    ] {
        assert!(!users.allows("s", command), "{command}");
    }
}

#[test]
fn no_service_publishes_where_the_primary_is() {
    let users = users();
    let publishers: Vec<&str> = ["operator", "s", "sentinel"]
        .into_iter()
        .filter(|user| users.allows_channel(user, "publish", "__sentinel__:hello"))
        .collect();
    assert_eq!(publishers, ["operator", "sentinel"]);
}

#[test]
fn nobody_but_the_agents_makes_a_sentinel_forget_or_fail_over() {
    let users = users();
    for user in ["operator", "s", "sentinel"] {
        for command in ["sentinel|remove", "sentinel|reset", "sentinel|failover"] {
            let allowed = users.allows(user, command);
            assert_eq!(allowed, user == "operator", "{user}: {command}");
        }
    }
}

#[test]
fn the_agent_hears_of_a_switch_and_of_nothing_else() {
    let users = users();
    for channel in ["+switch-master", "+promoted-slave", "+try-failover"] {
        assert!(users.allows_channel("operator", "subscribe", channel));
    }
    for channel in ["+sdown", "-sdown", "+*", "*"] {
        assert!(!users.allows_channel("operator", "subscribe", channel));
        assert!(!users.allows_channel("operator", "psubscribe", channel));
    }
}
