//! Which right gives which commands.

/// A kind of right that a contract gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Being connected at all.
    Connect,
    /// Read a keyspace.
    Read,
    /// Write a keyspace of values.
    Write,
    /// Write a keyspace of locks.
    Lock,
    /// Publish an event, and keep it.
    Publish,
    /// Hear events.
    Subscribe,
    /// Read events that were kept.
    Replay,
    /// Take durable events from their stream.
    Consume,
    /// Put aside durable events that cannot be handled.
    DeadLetter,
}

/// The rights of which one is enough for a command on a data node. None: nobody's command.
pub fn rights_for(command: &str) -> &'static [Right] {
    use Right::{Connect, Consume, DeadLetter, Lock, Publish, Read, Replay, Subscribe, Write};
    match command {
        "client|getname" | "client|id" | "client|info" | "client|setinfo" | "client|setname"
        | "discard" | "echo" | "exec" | "multi" | "ping" | "role" | "time" | "unwatch" | "wait"
        | "waitaof" => &[Connect],
        "exists" | "expiretime" | "getrange" | "mget" | "pexpiretime" | "strlen" | "ttl"
        | "watch" => &[Read],
        "type" => &[Read, Publish],
        "get" | "pttl" => &[Read, Lock],
        "del" | "pexpire" | "set" => &[Write, Lock],
        "expire" | "expireat" | "getdel" | "getex" | "mset" | "pexpireat" | "psetex" | "setex"
        | "setnx" | "unlink" => &[Write],
        "eval" | "evalsha" | "incr" | "incrby" | "script|load" => &[Lock],
        "fcall" => &[Write, Lock, Publish],
        "lpush" | "ltrim" | "publish" | "zadd" | "zcount" | "zremrangebyrank" | "zscore" => {
            &[Publish]
        }
        "psubscribe" | "punsubscribe" | "subscribe" | "unsubscribe" => &[Subscribe],
        "lrange" | "xread" | "xrevrange" => &[Replay],
        "xrange" | "xlen" => &[Replay, Consume, DeadLetter],
        "xadd" => &[Publish, DeadLetter],
        "xdel" => &[DeadLetter],
        "xack" | "xautoclaim" | "xclaim" | "xgroup|create" | "xinfo|consumers" | "xinfo|groups"
        | "xinfo|help" | "xinfo|stream" | "xpending" | "xreadgroup" => &[Consume],
        _ => &[],
    }
}

/// Whether a service may run a command on a Sentinel: ask for the primary, and watch it move.
pub fn on_sentinels(command: &str) -> bool {
    matches!(
        command,
        "client|getname"
            | "client|id"
            | "client|setinfo"
            | "client|setname"
            | "echo"
            | "ping"
            | "psubscribe"
            | "punsubscribe"
            | "role"
            | "sentinel|get-master-addr-by-name"
            | "sentinel|master"
            | "sentinel|masters"
            | "sentinel|replicas"
            | "sentinel|sentinels"
            | "sentinel|slaves"
            | "subscribe"
            | "unsubscribe"
    )
}
