//! An append-only file is replayed as the user `default`, which nobody can be: what takes several rights at once must not be lost.

use crate::bus::Bus;
use crate::data::lead;
use crate::pod::{Pod, data};
use cachebus_core::names::Component;
use cachebus_core::protocol::Phase;

const LIBRARY: &str = "#!lua name=pairs\nredis.register_function('pair', function(keys, args) \
    redis.call('SET', keys[1], args[1]) redis.call('SET', keys[2], args[1]) return 'OK' end)";

const SCRIPT: &str = "redis.call('SET', KEYS[1], 'v') redis.call('SET', KEYS[2], 'v') return 'OK'";

#[tokio::test]
async fn transactions_scripts_and_functions_outlive_a_killed_server() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    lead(&pod, 1).await;
    assert_eq!(bus.redis(&["FUNCTION", "LOAD", LIBRARY]).await, "pairs");
    let typed = "MULTI\nSET multi-1 v\nSET multi-2 v\nEXEC\n";
    let answers = bus.redis_typed(typed).await;
    assert_eq!(
        answers.lines().filter(|line| *line == "OK").count(),
        3,
        "{answers}"
    );
    for (command, with, prefix) in [("EVAL", SCRIPT, "eval"), ("FCALL", "pair", "fcall")] {
        let (one, other) = (format!("{prefix}-1"), format!("{prefix}-2"));
        assert_eq!(
            bus.redis(&[command, with, "2", &one, &other, "v"]).await,
            "OK"
        );
    }
    assert_eq!(bus.redis(&["SET", "plain", "v"]).await, "OK");

    pod.kill_server().await;
    let status = pod
        .status_with(|status| status.crashes == 1 && data(status).phase == Phase::Sealed)
        .await;
    assert_eq!(data(&status).keys, Some(7));
    lead(&pod, 2).await;
    for key in [
        "multi-1", "multi-2", "eval-1", "eval-2", "fcall-1", "fcall-2", "plain",
    ] {
        assert_eq!(bus.redis(&["GET", key]).await, "v", "{key}");
    }
    assert_eq!(
        bus.redis(&["FCALL", "pair", "2", "a", "b", "v"]).await,
        "OK"
    );
    pod.stop().await;
}
