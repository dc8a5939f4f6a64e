//! Sentinel's own gossip: who else watches, and who leads.

use super::{PeerSentinel, Sentinel};
use crate::{command::Command, endpoint::Address, error::Error};

const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// What a Sentinel shows of one master, all that an announcement needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Where it says that the master is.
    pub primary: Address,
    /// The version of that.
    pub config_epoch: u64,
    /// It runs a failover.
    pub failing_over: bool,
    /// The highest epoch that it shows: config epoch, or a vote of another Sentinel. No command shows the Sentinel's own current
    /// epoch, which is never below that of its config and rises above it only by failovers that were tried and not finished.
    pub highest_epoch: u64,
    /// Another Sentinel that it knows, the most alive one: in its name it can be told who leads.
    pub herald: Option<PeerSentinel>,
}

impl Sentinel {
    /// What this Sentinel shows of the master `name`; refused when there is none of that name.
    pub async fn outlook(&self, name: &str) -> Result<Outlook, Error> {
        let master = self.master(name).await?;
        let peers = self.sentinels(name).await?;
        // While a failover runs, the entry is that of the old master, and clients may be told the new one.
        let told = self.primary_address(name).await?;
        Ok(Outlook {
            primary: told.unwrap_or(master.address),
            config_epoch: master.config_epoch,
            failing_over: master.flags.is_failing_over(),
            highest_epoch: peers
                .iter()
                .map(|peer| peer.voted_leader_epoch)
                .fold(master.config_epoch, u64::max),
            herald: peers
                .into_iter()
                .min_by_key(|peer| (peer.flags.is_subjectively_down(), peer.run_id.clone())),
        })
    }

    /// Tells this Sentinel that `primary` is the master `name` since `epoch`, as a hello of `herald`, another Sentinel that it knows. It
    /// switches at once where `epoch` is above its config epoch, persists that and publishes `+switch-master`; a lower one is ignored.
    /// This is the gossip of Sentinels among each other (unchanged since Redis 2.8), not their documented interface: have another way.
    pub async fn announce(
        &self,
        name: &str,
        primary: &Address,
        epoch: u64,
        herald: &PeerSentinel,
    ) -> Result<(), Error> {
        self.hello(name, primary, &herald.address, &herald.run_id, epoch)
            .await
    }

    /// Makes another Sentinel of the master `name` known to this one, which else finds it by its next hello: one each 2 s. A primary
    /// that differs from what this Sentinel believes changes nothing, since the hello is of epoch 0.
    pub async fn meet(
        &self,
        name: &str,
        primary: &Address,
        peer: &Address,
        run_id: &str,
    ) -> Result<(), Error> {
        self.hello(name, primary, peer, run_id, 0).await
    }

    async fn hello(
        &self,
        name: &str,
        primary: &Address,
        peer: &Address,
        run_id: &str,
        epoch: u64,
    ) -> Result<(), Error> {
        let message = format!(
            "{},{},{run_id},{epoch},{name},{},{},{epoch}",
            peer.host, peer.port, primary.host, primary.port
        );
        let command = Command::new("PUBLISH").arg(HELLO_CHANNEL).arg(message);
        self.connection.call::<()>(command).await
    }
}
