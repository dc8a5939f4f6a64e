//! Each right by itself: what it brings and what it does not.

use crate::common::bus;
use crate::compiled;
use crate::engine::Touch::{Read, Write};
use crate::engine::Users;

/// One service for each right.
const SPEC: &str = "
cache:
  keyspaces:
    - {name: agent, key: 'agent:{id}', ttl: 1m}
    - {name: lock, key: 'lock:{id}', ttl: 1m, kind: Lock}
events:
  channels:
    - {name: task, events: [created, done], durable: true}
    - {name: ws, events: [message], history: 0}
services:
  - {name: reader, cache: {read: [agent, lock]}}
  - {name: writer, cache: {write: [agent]}}
  - {name: locker, cache: {write: [lock]}}
  - {name: publisher, publish: ['task:done', ws]}
  - {name: subscriber, subscribe: [task]}
  - {name: listener, subscribe: ['task:done']}
  - {name: nobody}
";

const SERVICES: [&str; 7] = [
    "listener",
    "locker",
    "nobody",
    "publisher",
    "reader",
    "subscriber",
    "writer",
];

fn users() -> Users {
    Users::of(&compiled(&bus(SPEC)).redis)
}

/// The services that may do this.
fn who(may: impl Fn(&str) -> bool) -> Vec<&'static str> {
    SERVICES.into_iter().filter(|user| may(user)).collect()
}

#[test]
fn on_keys() {
    let users = users();
    for (command, touch, key, allowed) in [
        ("get", Read, "agent:1", &["reader", "writer"] as &[&str]),
        ("set", Write, "agent:1", &["writer"]),
        ("getdel", Write, "agent:1", &["writer"]),
        ("eval", Write, "agent:1", &[]),
        ("get", Read, "lock:1", &["locker", "reader"]),
        ("set", Write, "lock:1", &["locker"]),
        ("eval", Write, "lock:1", &["locker"]),
        ("mset", Write, "lock:1", &[]),
        ("fcall", Write, "agent:1", &["writer"]),
        ("fcall", Write, "lock:1", &["locker"]),
        ("fcall", Write, "other", &[]),
        ("lpush", Write, "agent:1", &[]),
        ("get", Read, "other", &[]),
        ("get", Read, "__private", &[]),
    ] {
        let may = who(|user| users.allows_key(user, command, touch, key));
        assert_eq!(may, allowed, "{command} {key}");
    }
}

#[test]
fn on_channels() {
    let users = users();
    for (command, channel, allowed) in [
        ("publish", "task:done", &["publisher"] as &[&str]),
        ("publish", "task:created", &[]),
        ("publish", "ws:message", &["publisher"]),
        ("subscribe", "task:done", &["listener", "subscriber"]),
        ("subscribe", "task:created", &["subscriber"]),
        ("subscribe", "ws:message", &[]),
        ("psubscribe", "task:*", &["subscriber"]),
        ("psubscribe", "*", &[]),
        ("publish", "__sentinel__:hello", &[]),
        ("subscribe", "__sentinel__:hello", &[]),
        ("spublish", "task:done", &[]),
        ("ssubscribe", "task:done", &[]),
    ] {
        let may = who(|user| users.allows_channel(user, command, channel));
        assert_eq!(may, allowed, "{command} {channel}");
    }
}

#[test]
fn on_what_is_kept_of_events() {
    let users = users();
    for (command, touch, key, allowed) in [
        (
            "lpush",
            Write,
            "events:task:done:history",
            &["publisher"] as &[&str],
        ),
        ("xadd", Write, "events:task:done:stream", &["publisher"]),
        ("xadd", Write, "events:task:created:stream", &[]),
        (
            "lrange",
            Read,
            "events:task:done:history",
            &["listener", "subscriber"],
        ),
        (
            "xreadgroup",
            Write,
            "events:task:done:stream",
            &["listener", "subscriber"],
        ),
        (
            "xreadgroup",
            Write,
            "events:task:created:stream",
            &["subscriber"],
        ),
        ("fcall", Write, "events:task:done:stream", &["publisher"]),
        ("type", Read, "events:task:done:history", &["publisher"]),
        ("zadd", Write, "events:task:done:ids", &["publisher"]),
        ("zscore", Read, "events:task:done:ids", &["publisher"]),
        ("zcount", Read, "events:task:done:ids", &["publisher"]),
        (
            "zremrangebyrank",
            Write,
            "events:task:done:ids",
            &["publisher"],
        ),
        ("fcall", Write, "events:ws:message:ids", &["publisher"]),
        ("zadd", Write, "events:task:created:ids", &[]),
        ("zrange", Read, "events:task:done:ids", &[]),
        ("fcall", Write, "events:task:done:lost", &[]),
        ("hincrby", Write, "events:task:done:lost", &[]),
        ("xtrim", Write, "events:task:done:stream", &[]),
        ("xdel", Write, "events:task:done:stream", &[]),
        ("xgroup|destroy", Write, "events:task:done:stream", &[]),
        (
            "xadd",
            Write,
            "events:task:done:dead:listener",
            &["listener"],
        ),
        (
            "xrange",
            Read,
            "events:task:done:dead:listener",
            &["listener"],
        ),
        ("lpush", Write, "events:ws:message:history", &[]),
        ("xadd", Write, "events:ws:message:stream", &[]),
        ("get", Read, "events:task:done:history", &[]),
        ("del", Write, "events:task:done:history", &[]),
    ] {
        let may = who(|user| users.allows_key(user, command, touch, key));
        assert_eq!(may, allowed, "{command} {key}");
    }
}

#[test]
fn on_the_server_are_nobodys_but_the_internal_users() {
    let users = users();
    for command in [
        "acl|setuser",
        "bgrewriteaof",
        "client|kill",
        "client|list",
        "client|pause",
        "client|tracking",
        "client|unpause",
        "command",
        "config|get",
        "config|set",
        "debug",
        "failover",
        "flushall",
        "function|delete",
        "function|flush",
        "function|list",
        "function|load",
        "function|restore",
        "info",
        "keys",
        "monitor",
        "replicaof",
        "save",
        "scan",
        "select",
        "shutdown",
        "slowlog|get",
    ] {
        assert_eq!(
            who(|user| users.allows(user, command)),
            [""; 0],
            "{command}"
        );
    }
    for command in [
        "ping",
        "multi",
        "exec",
        "role",
        "client|setname",
        "client|setinfo",
        "wait",
        "waitaof",
    ] {
        assert_eq!(
            who(|user| users.allows(user, command)),
            SERVICES,
            "{command}"
        );
    }
    assert!(users.allows("operator", "acl|setuser"));
    for loads in ["function|list", "function|load"] {
        assert!(users.allows("operator", loads), "{loads}");
    }
    let of_streams = ["fcall", "xgroup|create", "xgroup|destroy", "xtrim"];
    for (key, allowed) in [
        ("events:task:done:stream", true),
        ("events:task:done:lost", true),
        ("events:task:done:history", false),
        ("events:task:done:dead:listener", false),
        ("agent:1", false),
        ("lock:1", false),
    ] {
        for command in of_streams {
            let may = users.allows_key("operator", command, Write, key);
            assert_eq!(may, allowed, "{command} {key}");
        }
    }
    for (key, allowed) in [
        ("agent:1", true),
        ("lock:1", false),
        ("lock:1:fence", false),
        ("events:task:done:stream", false),
        ("other", false),
    ] {
        let may = users.allows_key("operator", "unlink", Write, key);
        assert_eq!(may, allowed, "{key}");
    }
    assert!(users.allows("operator", "scan"));
    for unasked in [
        "flushall",
        "del",
        "keys",
        "xadd",
        "xreadgroup",
        "function|delete",
        "function|flush",
        "get",
        "set",
    ] {
        assert!(!users.allows("operator", unasked), "{unasked}");
    }
    assert!(!users.allows("probe", "config|get"));
}

#[test]
fn differ_by_engine_where_a_command_does() {
    let spec = |engine: &str| format!("engine: {engine}\n{SPEC}");
    for (engine, setinfo) in [
        ("{kind: Redis, version: '7.0'}", false),
        ("{kind: Redis, version: '8.0'}", true),
        ("{kind: Valkey, version: '9.1'}", true),
    ] {
        let files = compiled(&bus(&spec(engine)));
        let (redis, sentinel) = (Users::of(&files.redis), Users::of(&files.sentinel));
        assert_eq!(
            redis.allows("nobody", "client|setinfo"),
            setinfo,
            "{engine}"
        );
        // It came in the same version.
        assert_eq!(redis.allows("nobody", "waitaof"), setinfo, "{engine}");
        assert_eq!(
            sentinel.allows("nobody", "client|setinfo"),
            setinfo,
            "{engine}"
        );
        for unasked in ["failover", "client|pause", "client|unpause"] {
            assert!(!redis.allows("sentinel", unasked), "{engine}: {unasked}");
        }
        assert!(!sentinel.allows("operator", "sentinel|ckquorum"));
    }
}

#[test]
fn default_cannot_log_in_and_replays_everything() {
    let files = compiled(&bus(SPEC));
    for file in [files.redis, files.sentinel] {
        assert!(file.starts_with("user default off resetpass ~* &* +@all\n"));
        assert!(!file.contains("nopass"));
    }
}

#[test]
fn a_user_without_a_password_has_no_line() {
    let files = cachebus_core::acl::files(
        &bus(SPEC),
        &cachebus_core::credentials::Credentials::default(),
    );
    assert_eq!(Users::of(&files.redis).names(), ["default"]);
    assert_eq!(Users::of(&files.sentinel).names(), ["default"]);
}

#[test]
fn the_hashes_in_a_file_are_those_of_the_passwords() {
    let file = compiled(&bus("services: [{name: s}]")).redis;
    let hashes = cachebus_core::acl::hashes(&file);
    assert_eq!(
        hashes.keys().collect::<Vec<_>>(),
        ["operator", "probe", "replication", "s", "sentinel"]
    );
    assert!(
        hashes
            .values()
            .all(|hash| hash.len() == 64 && file.contains(hash.as_str()))
    );
}
