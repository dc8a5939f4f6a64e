//! The users of the Sentinels.

use super::file::Line;
use super::internal::HELLO_CHANNEL;
use crate::bus::Bus;
use crate::credentials::{OPERATOR, SENTINEL};

/// What an agent sends to the Sentinel of its pod and, to learn and to tell who leads, to the others.
const OPERATE: &[&str] = &[
    "acl|deluser",
    "acl|list",
    "acl|setuser",
    "info",
    "ping",
    "publish",
    "sentinel|failover",
    "sentinel|get-master-addr-by-name",
    "sentinel|master",
    "sentinel|monitor",
    "sentinel|myid",
    "sentinel|remove",
    "sentinel|replicas",
    "sentinel|reset",
    "sentinel|sentinels",
    "sentinel|set",
    "subscribe",
];
/// What an agent listens to on the Sentinel of its pod: it begins a failover, or names another primary from now on.
const SWITCHES: &[&str] = &["+promoted-slave", "+switch-master", "+try-failover"];
/// What Sentinels send to one another.
const PEER: &[&str] = &[
    "client|setname",
    "ping",
    "publish",
    "sentinel|is-master-down-by-addr",
];
/// What clients send that ask for the primary and watch it move. A Sentinel has no `ECHO`, `QUIT` and `RESET`, and a rule that
/// names a command which it lacks keeps it from starting.
const DISCOVER: &[&str] = &[
    "client|getname",
    "client|id",
    "client|setname",
    "ping",
    "psubscribe",
    "punsubscribe",
    "role",
    "sentinel|get-master-addr-by-name",
    "sentinel|master",
    "sentinel|masters",
    "sentinel|replicas",
    "sentinel|sentinels",
    "sentinel|slaves",
    "subscribe",
    "unsubscribe",
];
/// Names of all of a Sentinel's own events (`+switch-master`, `-sdown`); [`HELLO_CHANNEL`] is none of them. A pattern may be
/// subscribed to only where it is granted literally: the rest are those that node-redis watches.
const EVENT_CHANNELS: &[&str] = &[
    "+*",
    "-*",
    "+sentinel",
    "+slave",
    "+slave-reconf-done",
    "[-+]odown",
    "[-+]sdown",
    "switch-master",
];

/// The rules of every user of a Sentinel, without their passwords.
pub(super) fn lines(bus: &Bus) -> impl Iterator<Item = Line> {
    let internal = [
        Line::new(OPERATOR)
            .channels(&[HELLO_CHANNEL])
            .channels(SWITCHES)
            .commands(OPERATE),
        Line::new(SENTINEL)
            .channels(&[HELLO_CHANNEL])
            .commands(PEER),
    ];
    let setinfo: &[&str] = if bus.engine.client_setinfo {
        &["client|setinfo"]
    } else {
        &[]
    };
    let services = bus.spec.services.iter().map(move |service| {
        Line::new(&service.name)
            .channels(EVENT_CHANNELS)
            .commands(DISCOVER)
            .commands(setinfo)
    });
    internal.into_iter().chain(services)
}
