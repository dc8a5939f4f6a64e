//! Monitoring the primary by order.

use super::SentinelAgent;
use super::look::introduce;
use crate::error::AgentError;
use crate::order::{failed, refuse};
use crate::site::Site;
use cachebus_admin::Sentinel;
use cachebus_core::protocol::{MonitorOrder, Refusal};

/// Why an order was not carried out.
enum Obstacle {
    Refused(Refusal),
    Failed(AgentError),
}

impl<E: Into<AgentError>> From<E> for Obstacle {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl SentinelAgent {
    /// Has the Sentinel monitor the primary of the order. The same order again changes nothing.
    pub(super) async fn obey_monitor(&mut self, order: &MonitorOrder) -> Result<(), Refusal> {
        let uid = &self.site.config.uid;
        if order.uid != *uid {
            let message = format!(
                "the order is for the bus with UID {}, this pod serves {uid}",
                order.uid
            );
            return Err(refuse(cachebus_core::seal::refusal::FOREIGN_BUS, message));
        }
        let Some(running) = &mut self.running else {
            return Err(refuse("NotRunning", "the Sentinel does not run yet"));
        };
        let Some(sentinel) = &running.connection else {
            return Err(refuse("NotRunning", "the Sentinel does not answer yet"));
        };
        match monitor(sentinel, &self.site, order).await {
            Ok(()) => {
                running.introduced = true;
                Ok(())
            }
            Err(Obstacle::Refused(refusal)) => Err(refusal),
            Err(Obstacle::Failed(error)) => {
                // What was told and what was not is unknown now.
                running.introduced = false;
                running.note(&error);
                Err(failed(&error))
            }
        }
    }
}

async fn monitor(sentinel: &Sentinel, site: &Site, order: &MonitorOrder) -> Result<(), Obstacle> {
    let name = site.config.master_name.as_str();
    let primary = site.data_address(&order.primary);
    let mut known = sentinel.primary_address(name).await?;
    if let Some(address) = &known
        && *address != primary
    {
        let named = site.names.data_pod_of_host(&address.host);
        if order.instead_of.is_none() || named != order.instead_of {
            return Err(Obstacle::Refused(refuse(
                "NamesAnother",
                format!("this Sentinel names {address}, the order names {primary}"),
            )));
        }
        tracing::warn!(forgotten = %address, "forgetting a primary whose dataset is gone, by order");
        sentinel.remove(name).await?;
        known = None;
    }
    if known.is_none() {
        sentinel.monitor(name, &primary, order.quorum).await?;
        introduce(sentinel, site).await?;
        tracing::info!(%primary, quorum = order.quorum, "monitoring by order");
    }
    let now = sentinel.master(name).await?;
    let wanted = &order.settings;
    let wanted = [
        ("quorum", u64::from(order.quorum)),
        ("down-after-milliseconds", wanted.down_after_ms),
        ("failover-timeout", wanted.failover_timeout_ms),
        ("parallel-syncs", u64::from(wanted.parallel_syncs)),
    ];
    let settings = super::monitored::settings(&now);
    let live = [
        u64::from(now.quorum),
        settings.down_after_ms,
        settings.failover_timeout_ms,
        u64::from(settings.parallel_syncs),
    ];
    let different: Vec<(&str, String)> = wanted
        .iter()
        .zip(live)
        .filter(|((_, wanted), live)| wanted != live)
        .map(|((option, wanted), _)| (*option, wanted.to_string()))
        .collect();
    if !different.is_empty() {
        let options: Vec<(&str, &str)> = different
            .iter()
            .map(|(option, value)| (*option, value.as_str()))
            .collect();
        sentinel.set(name, &options).await?;
        tracing::info!(?options, "settings of the Sentinel changed by order");
    }
    for peer in &order.peers {
        let address = site.sentinel_address(&peer.pod);
        sentinel
            .meet(name, &primary, &address, &peer.run_id)
            .await?;
    }
    Ok(())
}
