//! Figures of durable channels, by channels and services of the contract.

use super::agent::figure;
use super::page::{Kind, Labels, Page};
use cachebus_core::streams::{Group, Watch};
use std::collections::BTreeMap;
use std::fmt;

pub(super) fn encode(
    page: &mut Page<'_>,
    watches: &BTreeMap<String, Watch>,
) -> Result<(), fmt::Error> {
    if watches.is_empty() {
        return Ok(());
    }
    page.each(
        Kind::Gauge,
        "events_stream_length",
        "Events in the stream of a durable channel",
        watches.iter().filter_map(|(channel, watch)| {
            let labels = vec![("channel", channel.clone())];
            Some((labels, figure(watch.length()?)))
        }),
    )?;
    let groups = |of: fn(&Group) -> Option<f64>| {
        watches.iter().flat_map(move |(channel, watch)| {
            watch
                .groups()
                .filter_map(move |(service, group)| Some((labels(channel, service), of(group)?)))
        })
    };
    page.each(
        Kind::Gauge,
        "events_consumer_lag",
        "Events of a durable channel that a service has yet to be handed; none where the server cannot tell",
        groups(|group| group.lag.map(figure)),
    )?;
    page.each(
        Kind::Gauge,
        "events_consumer_pending",
        "Events of a durable channel that a service was handed and has not acknowledged",
        groups(|group| Some(figure(group.pending))),
    )?;
    page.each(
        Kind::Gauge,
        "events_consumer_age_seconds",
        "Age of the oldest event of a durable channel that a service has not acknowledged",
        groups(|group| Some(figure(group.age_ms) / 1_000.0)),
    )?;
    page.each(
        Kind::Counter,
        "events_lost",
        "Events of a durable channel that were dropped before a service had acknowledged them",
        groups(|group| Some(figure(group.lost))),
    )
}

fn labels(channel: &str, service: &str) -> Labels {
    vec![
        ("channel", channel.to_owned()),
        ("service", service.to_owned()),
    ]
}
