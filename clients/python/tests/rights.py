"""A service's ACL rules as the operator renders them (``crates/core/src/acl/service.rs``)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import redis

PASSWORD = "of-the-worker"
SERVICE = "worker"

CONNECTION = [
    "client|getname",
    "client|id",
    "client|info",
    "client|setname",
    "discard",
    "echo",
    "exec",
    "multi",
    "ping",
    "role",
    "time",
    "unwatch",
    "wait",
]
READ = [
    "exists",
    "expiretime",
    "get",
    "getrange",
    "mget",
    "pexpiretime",
    "pttl",
    "strlen",
    "ttl",
    "type",
    "watch",
]
WRITE = [
    "del",
    "expire",
    "expireat",
    "getdel",
    "getex",
    "mset",
    "pexpire",
    "pexpireat",
    "psetex",
    "set",
    "setex",
    "setnx",
    "unlink",
]
LOCK = [
    "del",
    "eval",
    "evalsha",
    "fcall",
    "get",
    "incr",
    "incrby",
    "pexpire",
    "pttl",
    "script|load",
    "set",
]
PUBLISH = ["fcall", "lpush", "ltrim", "publish", "xadd"]
SUBSCRIBE = ["psubscribe", "punsubscribe", "subscribe", "unsubscribe"]
REPLAY = ["lrange", "xlen", "xrange", "xread", "xrevrange"]
CONSUME = [
    "xack",
    "xautoclaim",
    "xclaim",
    "xgroup|create",
    "xinfo",
    "xlen",
    "xpending",
    "xrange",
    "xreadgroup",
]
DEAD_LETTERS = ["xadd", "xdel", "xlen", "xrange"]

# For the library.
INVALIDATE = ["fcall"]
IDEMPOTENT = ["type", "zadd", "zcount", "zremrangebyrank", "zscore"]

# Of whoever looks at streams, which is no service.
BACKLOG = [
    "fcall_ro",
    "hget",
    "time",
    "type",
    "xinfo|consumers",
    "xinfo|groups",
    "xlen",
    "xpending",
    "xrange",
]
# And of whoever trims them.
TRIM = ["fcall", "hincrby", "xack", "xgroup|delconsumer", "xtrim", *(right for right in BACKLOG if right != "fcall_ro")]

PUBLISHED = ["agent:updated", "task:created", "task:completed"]
DURABLE = ["task:created", "task:completed"]


@dataclass(frozen=True)
class Right:
    """One selector."""

    commands: list[str]
    keys: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)

    def rule(self) -> str:
        words = [f"+{command}" for command in self.commands]
        words += self.keys + [f"&{channel}" for channel in self.channels]
        return f"(resetchannels -@all {' '.join(words)})"

    def without(self, word: str) -> Right:
        """The right without one command, key or channel."""
        return replace(
            self,
            commands=[command for command in self.commands if f"+{command}" != word],
            keys=[key for key in self.keys if key != word],
            channels=[channel for channel in self.channels if f"&{channel}" != word],
        )


def granted() -> dict[str, Right]:
    """The rights of the service of the tests."""
    kept = [f"events:{channel}:history" for channel in PUBLISHED]
    streams = [f"events:{channel}:stream" for channel in DURABLE]
    ids = [f"events:{channel}:ids" for channel in PUBLISHED]
    return {
        "read": Right(READ, ["%R~agent:?*", "%R~agents:all", "%R~lock:?*", "%R~metrics:?*:?*"]),
        "write": Right(READ + WRITE + INVALIDATE, ["~agent:?*", "~agents:all"]),
        "lock": Right(LOCK, ["~lock:?*"]),
        "publish": Right(PUBLISH + IDEMPOTENT, [f"~{key}" for key in kept + streams + ids], PUBLISHED),
        "subscribe": Right(SUBSCRIBE, channels=PUBLISHED),
        "replay": Right(REPLAY, [f"%R~{key}" for key in kept + streams]),
        "consume": Right(CONSUME, [f"~{key}" for key in streams]),
        "dead_letters": Right(DEAD_LETTERS, [f"~events:{channel}:dead:{SERVICE}" for channel in DURABLE]),
    }


def grant(admin: redis.Redis, rights: dict[str, Right], *extra: str, password: str = PASSWORD) -> None:
    """Gives the service these rights and no others."""
    rules = ["reset", "on", f">{password}", "resetchannels", "-@all"]
    rules += [f"+{command}" for command in CONNECTION]
    rules += [right.rule() for right in rights.values()]
    admin.execute_command("ACL", "SETUSER", SERVICE, *rules, *extra)
