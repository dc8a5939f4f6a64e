//! The server's and the agent's figures for Prometheus.
//!
//! Every label has few values: databases, at most [`redis::MOST_COMMANDS`] commands, replicas, the agent's phases,
//! channels, keyspaces and services of the contract.

mod agent;
mod keyspaces;
mod page;
mod redis;
mod sentinel;
mod streams;

use crate::snapshot::Snapshot;
use cachebus_core::protocol::NodeStatus;
use page::Page;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::fmt;

/// What [`text`] is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of a snapshot in the `OpenMetrics` text format.
pub(crate) fn text(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures(snapshot)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Figures(Snapshot);

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Self(snapshot) = self;
        let mut page = Page::new(encoder);
        agent::encode(&mut page, snapshot)?;
        match &snapshot.status.node {
            NodeStatus::Redis(_) => {
                redis::encode(&mut page, &snapshot.info)?;
                keyspaces::encode(&mut page, &snapshot.keyspaces)?;
                streams::encode(&mut page, &snapshot.streams)
            }
            NodeStatus::Sentinel(status) => sentinel::encode(&mut page, &snapshot.info, status),
        }
    }
}

#[cfg(test)]
mod tests;
