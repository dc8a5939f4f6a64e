//! Counting Sentinels no more that are gone, watching the bus no more, and watching nobody else.

use super::monitor::Obstacle;
use crate::error::AgentError;
use crate::site::Site;
use cachebus_admin::{Address, Sentinel};
use cachebus_core::protocol::{Monitored, Refusal};
use std::collections::BTreeMap;

/// Has the Sentinel count these identities no more. An engine can only forget all that it has found at once: the other Sentinels
/// are introduced again in the same moment, and the replicas are named by the primary when it is asked next, a moment later.
/// Epoch, quorum and settings stay. Until then the quorum keeps a Sentinel that knows few others from failing over alone.
pub(super) async fn forget(
    sentinel: &Sentinel,
    name: &str,
    primary: &Address,
    gone: &[String],
) -> Result<(), Obstacle> {
    let known = sentinel.sentinels(name).await?;
    let (ghosts, peers): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|peer| gone.contains(&peer.run_id));
    if ghosts.is_empty() {
        return Ok(());
    }
    unless_failing_over(sentinel, name).await?;
    sentinel.reset(name).await?;
    // Another Sentinel has come to an address without a port.
    for peer in peers.iter().filter(|peer| peer.address.port != 0) {
        sentinel
            .meet(name, primary, &peer.address, &peer.run_id)
            .await?;
    }
    let ghosts: Vec<String> = ghosts
        .iter()
        .map(|ghost| ghost.address.to_string())
        .collect();
    tracing::warn!(?ghosts, "Sentinels that are gone are counted no more");
    Ok(())
}

/// Has the Sentinel watch the bus no more.
pub(super) async fn retire(sentinel: &Sentinel, name: &str) -> Result<(), Obstacle> {
    if sentinel.primary_address(name).await?.is_some() {
        unless_failing_over(sentinel, name).await?;
        sentinel.remove(name).await?;
        tracing::info!("the Sentinel watches the bus no more, by order");
    }
    Ok(())
}

/// What a Sentinel forgets in a failover that it carries out, nobody finishes.
async fn unless_failing_over(sentinel: &Sentinel, name: &str) -> Result<(), Obstacle> {
    let flags = sentinel.master(name).await?.flags;
    if flags.is_failing_over() || flags.is_subjectively_down() {
        let message = "the Sentinel holds the primary for down, or fails over";
        return Err(Obstacle::Refused(Refusal::new("FailoverRunning", message)));
    }
    Ok(())
}

/// Has the Sentinel watch nobody but the bus: what a person had it watch besides, or in the bus's name. Returns whether it
/// watches the bus no more after that.
pub(super) async fn strangers(
    sentinel: &Sentinel,
    site: &Site,
    info: &BTreeMap<String, String>,
    monitored: Option<&Monitored>,
) -> Result<bool, AgentError> {
    let own = site.config.master_name.as_str();
    for name in watched(info).filter(|name| *name != own) {
        sentinel.remove(name).await?;
        tracing::warn!(
            name,
            "the Sentinel watched another primary beside the bus's"
        );
    }
    // What is typed is of epoch 0, and wins against none that is newer: only among equals it would stay.
    let stranger = monitored.filter(|monitored| {
        !monitored.failing_over
            && monitored.config_epoch == 0
            && site.names.data_pod_of_host(&monitored.host).is_none()
    });
    if let Some(stranger) = stranger {
        sentinel.remove(own).await?;
        tracing::warn!(
            host = stranger.host,
            "the Sentinel took a stranger for the bus's primary"
        );
    }
    Ok(stranger.is_some())
}

/// The names that a Sentinel watches, by its `INFO`.
fn watched(info: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    info.iter().filter_map(|(line, value)| {
        line.strip_prefix("master")?.parse::<u32>().ok()?;
        let mut fields = value.split(',');
        fields.find_map(|field| field.strip_prefix("name="))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_a_sentinel_watches_are_in_its_info() {
        let lines = [
            (
                "master0",
                "name=b-1,status=ok,address=10.0.0.1:6379,slaves=2,sentinels=3",
            ),
            (
                "master1",
                "name=other,status=ok,address=10.0.0.2:6379,slaves=0,sentinels=1",
            ),
            ("sentinel_masters", "2"),
            ("master_replid", "name=none"),
        ];
        let info = lines.map(|(line, value)| (line.to_owned(), value.to_owned()));
        let info = BTreeMap::from(info);
        assert_eq!(watched(&info).collect::<Vec<_>>(), ["b-1", "other"]);
    }
}
