//! What a Sentinel lists.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use super::Fields;
use crate::endpoint::Address;

/// The flags of an instance: `master`, `slave`, `sentinel`, `s_down`, `o_down`, `disconnected`, `failover_in_progress` …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(BTreeSet<String>);

impl Flags {
    /// Flags as a Sentinel lists them, with commas in between.
    pub fn parse(words: &str) -> Self {
        Self(words.split(',').map(str::to_owned).collect())
    }

    /// Whether `flag` is set.
    pub fn contains(&self, flag: &str) -> bool {
        self.0.contains(flag)
    }

    /// This Sentinel cannot reach the instance.
    pub fn is_subjectively_down(&self) -> bool {
        self.contains("s_down")
    }

    /// A quorum of Sentinels cannot reach the master.
    pub fn is_objectively_down(&self) -> bool {
        self.contains("o_down")
    }

    /// This Sentinel runs a failover of the master.
    pub fn is_failing_over(&self) -> bool {
        self.contains("failover_in_progress")
    }
}

/// A master, by what one Sentinel believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitoredMaster {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// The process there; empty before the first contact.
    pub run_id: String,
    /// Its state.
    pub flags: Flags,
    /// `master` or `slave`: what the node itself said last.
    pub role_reported: String,
    /// The version of this configuration: the highest one wins among Sentinels.
    pub config_epoch: u64,
    /// How many Sentinels must agree that it is down.
    pub quorum: u32,
    /// Replicas known.
    pub num_replicas: u32,
    /// Sentinels known, without this one.
    pub num_other_sentinels: u32,
    /// Silence after which it counts as down.
    pub down_after: Duration,
    /// Bounds a failover, and the time to the next one.
    pub failover_timeout: Duration,
    /// Replicas that sync at the same time after a failover.
    pub parallel_syncs: u32,
    /// The last answer to a PING is this long ago.
    pub last_ok_ping_reply: Duration,
    /// The last INFO is this long ago.
    pub info_refresh: Duration,
}

/// A replica, by what one Sentinel believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitoredReplica {
    /// The address it announces.
    pub address: Address,
    /// The process there; empty before the first contact.
    pub run_id: String,
    /// Its state.
    pub flags: Flags,
    /// `master` or `slave`: what the node itself said last.
    pub role_reported: String,
    /// Its link to the primary is up.
    pub link_up: bool,
    /// The primary it follows; `None` while it has not said.
    pub primary: Option<Address>,
    /// Lower is preferred; 0 is never promoted.
    pub priority: u32,
    /// Bytes of replication stream applied.
    pub offset: u64,
    /// The last INFO is this long ago.
    pub info_refresh: Duration,
}

/// Another Sentinel, by what one Sentinel believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSentinel {
    /// The address it announces.
    pub address: Address,
    /// Its identity, as its own `SENTINEL MYID` tells.
    pub run_id: String,
    /// Its state.
    pub flags: Flags,
    /// Its last hello is this long ago.
    pub last_hello: Duration,
    /// The epoch of the last failover it voted in.
    pub voted_leader_epoch: u64,
}

impl MonitoredMaster {
    pub(super) fn from_fields(fields: &Fields) -> Option<Self> {
        Some(Self {
            name: text(fields, "name")?,
            address: address(fields)?,
            run_id: text(fields, "runid")?,
            flags: flags(fields)?,
            role_reported: text(fields, "role-reported")?,
            config_epoch: number(fields, "config-epoch")?,
            quorum: number(fields, "quorum")?,
            num_replicas: number(fields, "num-slaves")?,
            num_other_sentinels: number(fields, "num-other-sentinels")?,
            down_after: milliseconds(fields, "down-after-milliseconds")?,
            failover_timeout: milliseconds(fields, "failover-timeout")?,
            parallel_syncs: number(fields, "parallel-syncs")?,
            last_ok_ping_reply: milliseconds(fields, "last-ok-ping-reply")?,
            info_refresh: milliseconds(fields, "info-refresh")?,
        })
    }
}

impl MonitoredReplica {
    pub(super) fn from_fields(fields: &Fields) -> Option<Self> {
        Some(Self {
            address: address(fields)?,
            run_id: text(fields, "runid")?,
            flags: flags(fields)?,
            role_reported: text(fields, "role-reported")?,
            link_up: text(fields, "master-link-status")? == "ok",
            primary: primary(fields),
            priority: number(fields, "slave-priority")?,
            offset: number(fields, "slave-repl-offset")?,
            info_refresh: milliseconds(fields, "info-refresh")?,
        })
    }
}

impl PeerSentinel {
    pub(super) fn from_fields(fields: &Fields) -> Option<Self> {
        Some(Self {
            address: address(fields)?,
            run_id: text(fields, "runid")?,
            flags: flags(fields)?,
            last_hello: milliseconds(fields, "last-hello-message")?,
            voted_leader_epoch: number(fields, "voted-leader-epoch")?,
        })
    }
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).cloned()
}

fn number<T: FromStr>(fields: &Fields, name: &str) -> Option<T> {
    fields.get(name)?.parse().ok()
}

fn milliseconds(fields: &Fields, name: &str) -> Option<Duration> {
    number(fields, name).map(Duration::from_millis)
}

fn flags(fields: &Fields) -> Option<Flags> {
    fields.get("flags").map(|words| Flags::parse(words))
}

fn address(fields: &Fields) -> Option<Address> {
    Some(Address::new(fields.get("ip")?, number(fields, "port")?))
}

fn primary(fields: &Fields) -> Option<Address> {
    let host = fields.get("master-host").filter(|host| *host != "?")?;
    Some(Address::new(host, number(fields, "master-port")?))
}

#[cfg(test)]
mod tests;
