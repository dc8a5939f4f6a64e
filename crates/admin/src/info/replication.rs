//! The replication section of `INFO`.

use std::time::Duration;

use super::{Fields, lines, pairs};
use crate::endpoint::Address;

/// What a node is at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It takes writes.
    Primary,
    /// It follows another node.
    Replica,
}

/// Role, links and offsets of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// Primary or replica.
    pub role: NodeRole,
    /// History this node's data belongs to: 40 hexadecimal digits.
    pub replication_id: String,
    /// The history before the last promotion; all zeros when there is none.
    pub previous_replication_id: String,
    /// Bytes of that history this node holds: produced by a primary, applied by a replica.
    pub offset: u64,
    /// The link to the primary; `None` on a primary.
    pub upstream: Option<UpstreamLink>,
    /// How many replicas are connected.
    pub connected_replicas: u32,
    /// Those replicas.
    pub replicas: Vec<ReplicaLine>,
}

/// A replica's link to its primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamLink {
    /// The primary.
    pub primary: Address,
    /// In the stream.
    pub up: bool,
    /// How long it is down, in whole seconds; `None` when it is up or never was.
    pub down_since: Option<Duration>,
    /// A full copy is being received.
    pub sync_in_progress: bool,
}

/// A replica as its primary sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaLine {
    /// The address it announces.
    pub address: Address,
    /// The engine's word: `online`, `wait_bgsave`, `send_bulk` …
    pub state: String,
    /// The offset it last acknowledged.
    pub offset: u64,
    /// Time since that acknowledgement, in whole seconds; `None` when it never did.
    pub lag: Option<Duration>,
}

impl Replication {
    /// Reads the text of `INFO replication`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_fields(Fields(&lines(text)))
    }

    pub(super) fn from_fields(fields: Fields<'_>) -> Option<Self> {
        let (role, offset) = match fields.text("role")? {
            "master" => (NodeRole::Primary, fields.number("master_repl_offset")?),
            "slave" => (NodeRole::Replica, fields.number("slave_repl_offset")?),
            _ => return None,
        };
        let connected_replicas = fields.number("connected_slaves")?;
        Some(Self {
            role,
            replication_id: fields.text("master_replid")?.to_owned(),
            previous_replication_id: fields.text("master_replid2")?.to_owned(),
            offset,
            upstream: match role {
                NodeRole::Primary => None,
                NodeRole::Replica => Some(upstream(fields)?),
            },
            connected_replicas,
            replicas: (0..connected_replicas)
                .filter_map(|index| replica(fields.text(&format!("slave{index}"))?))
                .collect(),
        })
    }
}

fn upstream(fields: Fields<'_>) -> Option<UpstreamLink> {
    Some(UpstreamLink {
        primary: Address::new(fields.text("master_host")?, fields.number("master_port")?),
        up: fields.text("master_link_status")? == "up",
        down_since: fields
            .number::<i64>("master_link_down_since_seconds")
            .and_then(seconds),
        sync_in_progress: fields.flag("master_sync_in_progress")?,
    })
}

fn replica(line: &str) -> Option<ReplicaLine> {
    let figures = pairs(line);
    Some(ReplicaLine {
        address: Address::new(*figures.get("ip")?, figures.get("port")?.parse().ok()?),
        state: (*figures.get("state")?).to_owned(),
        offset: figures.get("offset")?.parse().ok()?,
        lag: figures.get("lag")?.parse().ok().and_then(seconds),
    })
}

fn seconds(value: i64) -> Option<Duration> {
    u64::try_from(value).ok().map(Duration::from_secs)
}
