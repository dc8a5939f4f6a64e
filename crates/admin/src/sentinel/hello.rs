//! Sentinel's own gossip: who else watches, and who leads.

use super::Sentinel;
use crate::{command::Command, endpoint::Address, error::Error};

const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// Whether a Sentinel could be told. That it agreed shows in its next [`Sentinel::master`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// It has the message.
    Sent,
    /// It knows no other Sentinel in whose name it could be told.
    NoPeer,
}

impl Sentinel {
    /// Tells this Sentinel that `primary` is the master `name` since `epoch`, as a hello of one of the other Sentinels it knows. It
    /// switches at once where `epoch` is above its config epoch, persists that and publishes `+switch-master`; a lower one is ignored.
    /// This is the gossip of Sentinels among each other (unchanged since Redis 2.8), not their documented interface: have another way.
    pub async fn announce(
        &self,
        name: &str,
        primary: &Address,
        epoch: u64,
    ) -> Result<Announcement, Error> {
        let peers = self.sentinels(name).await?;
        let Some(peer) = peers
            .iter()
            .min_by_key(|peer| (peer.flags.is_subjectively_down(), &peer.run_id))
        else {
            return Ok(Announcement::NoPeer);
        };
        self.hello(name, primary, &peer.address, &peer.run_id, epoch)
            .await?;
        Ok(Announcement::Sent)
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

    /// The highest epoch this Sentinel shows for a master: config epoch, or a vote of another Sentinel. No command shows the Sentinel's
    /// own current epoch, which is never below that of its config and rises above it only by failovers that were tried and not finished.
    pub async fn highest_epoch(&self, name: &str) -> Result<u64, Error> {
        let config_epoch = self.master(name).await?.config_epoch;
        let peers = self.sentinels(name).await?;
        Ok(peers
            .iter()
            .map(|peer| peer.voted_leader_epoch)
            .fold(config_epoch, u64::max))
    }
}
