//! Monitoring the primary by order.

use super::SentinelAgent;
use super::forget;
use super::look::introduce;
use crate::error::AgentError;
use crate::order::failed;
use crate::site::Site;
use cachebus_admin::{Address, Sentinel};
use cachebus_core::protocol::{MonitorOrder, Refusal, RetireOrder};
use cachebus_core::seal::for_this_bus;

/// Why an order was not carried out.
pub(super) enum Obstacle {
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
        for_this_bus(&order.uid, &self.site.config)?;
        let (sentinel, site) = self.told()?;
        let monitored = monitor(sentinel, site, order).await;
        self.settled(monitored)?;
        if let Some(running) = &mut self.running {
            running.introduced = true;
        }
        Ok(())
    }

    /// Has the Sentinel watch the bus no more. The same order again changes nothing.
    pub(super) async fn obey_retire(&mut self, order: &RetireOrder) -> Result<(), Refusal> {
        for_this_bus(&order.uid, &self.site.config)?;
        let (sentinel, site) = self.told()?;
        let retired = forget::retire(sentinel, &site.config.master_name).await;
        self.settled(retired)
    }

    /// The Sentinel that an order is carried out on.
    fn told(&self) -> Result<(&Sentinel, &Site), Refusal> {
        let Some(running) = &self.running else {
            return Err(Refusal::new("NotRunning", "the Sentinel does not run yet"));
        };
        let Some(sentinel) = &running.connection else {
            return Err(Refusal::new(
                "NotRunning",
                "the Sentinel does not answer yet",
            ));
        };
        Ok((sentinel, &self.site))
    }

    fn settled(&mut self, outcome: Result<(), Obstacle>) -> Result<(), Refusal> {
        match outcome {
            Ok(()) => Ok(()),
            Err(Obstacle::Refused(refusal)) => Err(refusal),
            Err(Obstacle::Failed(error)) => {
                if let Some(running) = &mut self.running {
                    // What was told and what was not is unknown now.
                    running.introduced = false;
                    running.note(&error);
                }
                Err(failed(&error))
            }
        }
    }
}

async fn monitor(sentinel: &Sentinel, site: &Site, order: &MonitorOrder) -> Result<(), Obstacle> {
    let name = site.config.master_name.as_str();
    let primary = site.data_address(&order.primary);
    match sentinel.primary_address(name).await? {
        Some(known) if known == primary => introduce_peers(sentinel, site, order).await?,
        Some(known) => {
            let named = site.names.data_pod_of_host(&known.host);
            if order.instead_of.is_none() || named != order.instead_of {
                return Err(Obstacle::Refused(Refusal::new(
                    "NamesAnother",
                    format!("this Sentinel names {known}, the order names {primary}"),
                )));
            }
            introduce_peers(sentinel, site, order).await?;
            switch(sentinel, name, &primary, order.config_epoch).await?;
            tracing::warn!(from = %known, to = %primary, "another primary is named by order");
        }
        None => {
            sentinel.monitor(name, &primary, order.quorum).await?;
            introduce(sentinel, site).await?;
            introduce_peers(sentinel, site, order).await?;
            tracing::info!(%primary, quorum = order.quorum, "monitoring by order");
        }
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
    forget::forget(sentinel, name, &primary, &order.forget).await
}

async fn introduce_peers(
    sentinel: &Sentinel,
    site: &Site,
    order: &MonitorOrder,
) -> Result<(), AgentError> {
    let primary = site.data_address(&order.primary);
    for peer in &order.peers {
        let address = site.sentinel_address(&peer.pod);
        sentinel
            .meet(&site.config.master_name, &primary, &address, &peer.run_id)
            .await?;
    }
    Ok(())
}

/// Has the Sentinel name another primary, as Sentinels tell one another of one: by a newer epoch. `REMOVE` and `MONITOR` would
/// begin at epoch 0, and any Sentinel that was away for it would have all the others back.
async fn switch(
    sentinel: &Sentinel,
    name: &str,
    primary: &Address,
    epoch: u64,
) -> Result<(), Obstacle> {
    let outlook = sentinel.outlook(name).await?;
    let Some(herald) = outlook.herald else {
        return Err(Obstacle::Refused(Refusal::new(
            "KnowsNoOther",
            "this Sentinel knows no other in whose name it could be told",
        )));
    };
    let epoch = epoch.max(1 + outlook.highest_epoch);
    sentinel.announce(name, primary, epoch, &herald).await?;
    match sentinel.primary_address(name).await? {
        Some(named) if named == *primary => Ok(()),
        named => Err(Obstacle::Refused(Refusal::new(
            "NotTaken",
            format!("told of {primary} in epoch {epoch}, this Sentinel names {named:?}"),
        ))),
    }
}
