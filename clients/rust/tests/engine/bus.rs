//! A bus of one server, and the service `worker` with the rights that functions/README.md names.

use std::time::Duration;

use cachebus::{CacheBus, Settings, Source};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::process::{HOST, Process};

pub(crate) const SERVICE: &str = "worker";
pub(crate) const PASSWORD: &str = "of-the-worker";

const LIBRARY: &str = include_str!("../../../../functions/cachebus.lua");

const RIGHTS: &[&str] = &[
    "+client|getname +client|id +discard +echo +exec +multi +ping +role +time +unwatch +wait",
    "(resetchannels -@all +exists +get +mget +pttl +ttl +type %R~agent:?* %R~agents:all %R~lock:?* %R~metrics:?*:?*)",
    "(resetchannels -@all +exists +get +mget +del +set +unlink +pexpire +fcall ~agent:?* ~agents:all)",
    "(resetchannels -@all +del +fcall +get +pexpire +pttl +set ~lock:?*)",
    "(resetchannels -@all +fcall +lpush +ltrim +publish +xadd +type +zadd +zcount +zremrangebyrank +zscore \
     ~events:agent:updated:history ~events:agent:updated:ids ~events:task:created:history ~events:task:created:ids \
     ~events:task:created:stream &agent:updated &task:created)",
    "(resetchannels -@all +subscribe +unsubscribe &agent:updated &task:created)",
    "(resetchannels -@all +lrange +xlen +xrange +xread +xrevrange %R~events:agent:updated:history \
     %R~events:task:created:history %R~events:task:created:stream)",
    "(resetchannels -@all +xack +xautoclaim +xclaim +xgroup|create +xinfo +xlen +xpending +xrange +xreadgroup \
     ~events:task:created:stream)",
    "(resetchannels -@all +xadd +xdel +xlen +xrange ~events:task:created:dead:worker)",
];

/// A server with the function library and the service's user.
pub(crate) async fn server(arguments: &[&str]) -> Process {
    let process = Process::server(arguments);
    let mut admin = process.admin().await;
    grant(&mut admin, &[]).await;
    load_library(&mut admin).await;
    process
}

pub(crate) async fn load_library(admin: &mut MultiplexedConnection) {
    ask(admin, &["FUNCTION", "LOAD", "REPLACE", LIBRARY]).await;
}

/// Gives the service its rights and `more`.
pub(crate) async fn grant(admin: &mut MultiplexedConnection, more: &[&str]) {
    grant_to(SERVICE, admin, more).await;
}

/// Gives a user the service's rights and `more`.
pub(crate) async fn grant_to(user: &str, admin: &mut MultiplexedConnection, more: &[&str]) {
    let password = format!(">{PASSWORD}");
    let mut rules = redis::cmd("ACL");
    rules.arg("SETUSER").arg(user);
    rules.arg(&["reset", "on", &password, "resetchannels", "-@all"]);
    for right in RIGHTS {
        if right.starts_with('(') {
            rules.arg(right);
        } else {
            rules.arg(right.split(' ').collect::<Vec<_>>());
        }
    }
    rules.arg(more);
    rules.exec_async(admin).await.unwrap();
}

/// Somebody's command, which works.
pub(crate) async fn ask(admin: &mut MultiplexedConnection, words: &[&str]) -> redis::Value {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(admin).await.unwrap()
}

pub(crate) fn text(value: redis::Value) -> String {
    redis::from_redis_value(value).unwrap()
}

/// The service's contract, for tests to change.
pub(crate) fn contract() -> Value {
    let keyspace = |name: &str, key: &str, ttl: u64, kind: &str, access: &str| json!({"name": name, "key": key, "ttlSeconds": ttl, "kind": kind, "access": access});
    let channel = |name: &str, durable: bool| json!({"channel": name, "durable": durable, "history": 100, "retentionSeconds": 86400});
    let channels = json!([
        channel("agent:updated", false),
        channel("task:created", true)
    ]);
    json!({
        "version": 1,
        "service": SERVICE,
        "durability": {"mode": "async"},
        "cache": {"enabled": true, "keyspaces": [
            keyspace("agent", "agent:{id}", 3600, "Cache", "write"),
            keyspace("agent_list", "agents:all", 300, "Cache", "write"),
            keyspace("metrics", "metrics:{service}:{name}", 300, "Cache", "read"),
            keyspace("lock", "lock:{resource}", 30, "Lock", "write"),
        ]},
        "events": {"enabled": true, "publish": channels, "subscribe": channels},
    })
}

pub(crate) fn url(process: &Process) -> String {
    format!("redis://{SERVICE}:{PASSWORD}@{HOST}:{}", process.port)
}

pub(crate) fn client(process: &Process) -> CacheBus {
    client_by(process, &contract())
}

pub(crate) fn client_by(process: &Process, contract: &Value) -> CacheBus {
    patient(Source::url(url(process), contract.to_string()))
}

/// Fails no call because the machine has other things to do.
pub(crate) fn patient(source: Source) -> CacheBus {
    let mut settings = Settings::default();
    settings.connect_timeout = Duration::from_secs(5);
    settings.command_timeout = Duration::from_secs(5);
    settings.deadline = Duration::from_secs(20);
    CacheBus::builder(source).settings(settings).open().unwrap()
}

/// Does not wait long for what does not come.
pub(crate) fn impatient(process: &Process) -> CacheBus {
    let mut settings = Settings::default();
    settings.connect_timeout = Duration::from_millis(200);
    settings.command_timeout = Duration::from_millis(200);
    settings.deadline = Duration::from_millis(600);
    CacheBus::builder(Source::url(url(process), contract().to_string()))
        .settings(settings)
        .open()
        .unwrap()
}
