//! CEL rules that span several fields of the spec. Each stays within the API server's cost budget because every list and
//! string it walks has a bound in the schema.

use kube::core::Rule;

/// Users of the bus itself.
const INTERNAL_USERS: &str = "['default', 'operator', 'replication', 'sentinel', 'probe']";

fn rule(condition: &str, message: &str, path: &str) -> Rule {
    Rule::new(condition).message(message).field_path(path)
}

/// A length of time between two others.
pub(crate) fn between(field: &str, least: &str, most: &str) -> Rule {
    rule(
        &format!(
            "duration(self.{field}) >= duration('{least}') && duration(self.{field}) <= duration('{most}')"
        ),
        &format!("{field} must be between {least} and {most}"),
        &format!(".{field}"),
    )
}

/// A length of time between two others that the engine takes in whole seconds.
pub(crate) fn whole_seconds(field: &str, least: &str, most: &str) -> Rule {
    rule(
        &format!(
            "duration(self.{field}) >= duration('{least}') && duration(self.{field}) <= duration('{most}') && \
             !self.{field}.contains('ms')"
        ),
        &format!("{field} must be between {least} and {most}, without milliseconds"),
        &format!(".{field}"),
    )
}

/// Kubernetes refuses a container that requests more than its limit.
pub(crate) fn request_within_limit(resource: &str) -> Rule {
    rule(
        &format!(
            "!has(self.limits.{resource}) || !has(self.requests.{resource}) || \
             quantity(self.requests.{resource}).compareTo(quantity(self.limits.{resource})) <= 0"
        ),
        &format!("requests.{resource} must not exceed limits.{resource}"),
        &format!(".requests.{resource}"),
    )
}

/// The agent in each pod listens on these.
pub(crate) fn not_the_agents() -> Rule {
    Rule::new("self != 9121 && self != 9443").message("9121 and 9443 are the ports of the agents")
}

/// Every object of the bus is named after it; the refused endings are those with which two buses would name one object
/// alike (`a` with `a-operator`: both a Secret `a-operator-tls`).
pub(crate) fn name() -> Rule {
    Rule::new(
        "self.metadata.name.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$') && size(self.metadata.name) <= 40 && \
         !(self.metadata.name + '-').contains('-binding-') && !self.metadata.name.endsWith('-operator')",
    )
    .message(
        "metadata.name must be a DNS label of at most 40 characters that starts with a letter, \
         has no part 'binding' after the first and does not end in '-operator': pods, Services and Secrets are named after it",
    )
}

/// Buffers, forks and the allocator need memory besides the data.
pub(crate) fn memory_leaves_room() -> Rule {
    rule(
        "!has(self.resources.limits.memory) || quantity(self.memory.max).asApproximateFloat() <= \
         0.8 * quantity(self.resources.limits.memory).asApproximateFloat()",
        "memory.max must not exceed 80 % of resources.limits.memory: the rest is for buffers and forks",
        ".memory.max",
    )
}

/// The backlog counts towards `maxmemory`: one as large as that would evict every key.
pub(crate) fn backlog_leaves_room() -> Rule {
    rule(
        "!has(self.replication.backlogSize) || quantity(self.replication.backlogSize).asApproximateFloat() <= \
         0.5 * quantity(self.memory.max).asApproximateFloat()",
        "replication.backlogSize must not exceed half of memory.max: the engine counts it as used memory and evicts keys for it",
        ".replication.backlogSize",
    )
}

/// Snapshot and append-only file hold at least what memory holds.
pub(crate) fn volume_holds_memory() -> Rule {
    rule(
        "(self.persistence.aof == 'disabled' && size(self.persistence.rdb) == 0) || \
         quantity(self.storage.size).compareTo(quantity(self.memory.max)) >= 0",
        "storage.size must be at least memory.max while persistence is on",
        ".storage.size",
    )
}

/// A primary cut off from its replicas takes writes for `maxLag`; they are lost if another leads by then.
pub(crate) fn lag_within_down_after() -> Rule {
    rule(
        "(has(self.replication.minReplicasToWrite) ? self.replication.minReplicasToWrite : (self.replicas >= 2 ? 1 : 0)) == 0 || \
         duration(self.replication.maxLag) <= duration(self.sentinel.downAfter)",
        "replication.maxLag must not exceed sentinel.downAfter: an isolated primary would take writes after another was made primary",
        ".replication.maxLag",
    )
}

/// A fence that falls after another leads is none.
pub(crate) fn fencing_within_down_after() -> Rule {
    rule(
        "!has(self.replication.fencingWindow) || (duration(self.replication.fencingWindow) >= duration('1s') && \
         duration(self.replication.fencingWindow) <= duration(self.sentinel.downAfter))",
        "replication.fencingWindow must be at least 1s and not exceed sentinel.downAfter: \
         an isolated primary would take writes after another was made primary",
        ".replication.fencingWindow",
    )
}

/// More replicas demanded than there are.
pub(crate) fn enough_replicas() -> Rule {
    rule(
        "!has(self.replication.minReplicasToWrite) || self.replication.minReplicasToWrite <= self.replicas",
        "replication.minReplicasToWrite must not exceed replicas: no write would ever be accepted",
        ".replication.minReplicasToWrite",
    )
}

/// With one replica, the loss of it would leave no write that could be confirmed.
pub(crate) fn quorum_needs_replicas() -> Rule {
    rule(
        "self.replication.durability != 'Quorum' || self.replicas >= 2",
        "replication.durability Quorum needs at least 2 replicas: with fewer, the loss of one would leave no majority",
        ".replication.durability",
    )
}

/// What lives in memory alone does not come back.
pub(crate) fn hibernation_keeps_data() -> Rule {
    rule(
        "!has(self.hibernated) || !self.hibernated || self.persistence.aof != 'disabled' || size(self.persistence.rdb) > 0",
        "hibernated needs persistence: a bus that keeps nothing on its volumes would come back empty",
        ".hibernated",
    )
}

/// One process listens on both.
pub(crate) fn plaintext_ports_differ() -> Rule {
    rule(
        "self.tls.mode != 'Optional' || (self.tls.plaintextPort != self.port && self.tls.sentinelPlaintextPort != self.sentinel.port)",
        "in mode Optional the ports for plain text must differ from the ports for TLS",
        ".tls",
    )
}

/// A volume cannot be made smaller.
pub(crate) fn storage_grows() -> Rule {
    rule(
        "quantity(self.storage.size).compareTo(quantity(oldSelf.storage.size)) >= 0",
        "storage.size cannot shrink",
        ".storage.size",
    )
}

/// Files of one family are not the other's, and pods that restart one by one would hold both.
pub(crate) fn engine_kind_stays() -> Rule {
    rule(
        "self.engine.kind == oldSelf.engine.kind",
        "engine.kind cannot change: make a bus of the other kind and move the data",
        ".engine.kind",
    )
}

/// Older versions do not read the files of newer ones.
pub(crate) fn engine_version_rises() -> Rule {
    rule(
        "self.engine.kind != oldSelf.engine.kind || \
         int(self.engine.version.split('.')[0]) * 100 + int(self.engine.version.split('.')[1]) >= \
         int(oldSelf.engine.version.split('.')[0]) * 100 + int(oldSelf.engine.version.split('.')[1])",
        "engine.version cannot go back: older versions do not read the files of newer ones",
        ".engine.version",
    )
}

/// Pods that restart one by one would not reach one another.
pub(crate) fn transport_stays() -> Rule {
    rule(
        "(self.tls.mode == 'Disabled') == (oldSelf.tls.mode == 'Disabled')",
        "tls.mode cannot change from or to Disabled: nodes with TLS and nodes without would not reach one another",
        ".tls.mode",
    )
}

/// `cache.read` or `cache.write` of a service names declared keyspaces.
pub(crate) fn declared_keyspaces(field: &str) -> Rule {
    references(
        &format!("cache.{field}"),
        "!self.cache.keyspaces.exists(x, x.name == r)",
        "a keyspace that cache.keyspaces does not declare",
    )
}

/// `publish` or `subscribe` of a service names declared groups, or declared events of one.
pub(crate) fn declared_channels(field: &str) -> Rule {
    references(
        field,
        "!self.events.channels.exists(x, x.name == r || (r.startsWith(x.name + ':') && r.substring(size(x.name) + 1) in x.events))",
        "a channel that events.channels does not declare",
    )
}

/// No entry `r` of a service's list is `dangling`. (A message that names the entry costs more than API servers allow.)
fn references(field: &str, dangling: &str, why: &str) -> Rule {
    rule(
        &format!("self.services.all(s, !has(s.{field}) || !s.{field}.exists(r, {dangling}))"),
        &format!("services[].{field} names {why}"),
        ".services",
    )
}

/// A service of such a name would take over a user of the bus.
pub(crate) fn reserved_users() -> Rule {
    rule(
        &format!("self.services.all(s, !(s.name in {INTERNAL_USERS}))"),
        "default, operator, replication, sentinel and probe are users of the bus itself",
        ".services",
    )
}

/// `_` becomes `-` in the name of a service's Secret.
pub(crate) fn distinct_secrets() -> Rule {
    rule(
        "self.services.all(s, self.services.exists_one(x, x.name.replace('_', '-') == s.name.replace('_', '-')))",
        "two services differ only in '_' and '-': their Secrets would have one name",
        ".services",
    )
}

/// A backup goes to one place.
pub(crate) fn one_destination() -> Rule {
    Rule::new("has(self.s3) != has(self.volume)")
        .message("either s3 or volume must be set, and not both")
}

/// An empty one would say nothing.
pub(crate) fn some_retention() -> Rule {
    Rule::new(
        "(has(self.count) || has(self.age)) && (!has(self.age) || duration(self.age) >= duration('1m'))",
    )
    .message("retention needs a count, or an age of at least 1m, or both")
}

/// A bus that lives is not restored over.
pub(crate) fn bootstrap_stays() -> Rule {
    rule(
        "!has(self.bootstrap) || (has(oldSelf.bootstrap) && self.bootstrap == oldSelf.bootstrap)",
        "bootstrap is for new buses: it can be taken away, and neither changed nor added",
        ".bootstrap",
    )
}

/// The pod that makes a backup is named after it, and so is its folder.
pub(crate) fn backup_name() -> Rule {
    Rule::new("self.metadata.name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$') && size(self.metadata.name) <= 56").message(
        "metadata.name must be a DNS label of at most 56 characters: a pod is named after it",
    )
}
