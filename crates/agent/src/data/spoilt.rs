//! Setting files aside that the server cannot read, while another pod leads.

use super::DataAgent;
use super::look::connect;
use crate::error::AgentError;
use crate::site::Site;
use crate::volume::Kept;
use cachebus_admin::{NodeRole, TlsContext};
use cachebus_core::seal::{Leader, Vote, leader_to_ask, set_aside};
use std::sync::Arc;

impl DataAgent {
    /// Has the next server begin empty, where the last one ended since its files are damaged and another pod has all the data.
    /// What fails leaves them where they are: the server ends again, and it is tried again then.
    pub(super) async fn set_spoilt_files_aside(&mut self, votes: &[Option<Vote>]) {
        if !self.supervisor.could_not_read() {
            return;
        }
        let Some(pod) = leader_to_ask(&self.question(votes)) else {
            tracing::warn!(
                "the server cannot read its files, which stay: no majority of Sentinels names another pod"
            );
            return;
        };
        match ask_leader(&self.site, self.serving.client(), &pod).await {
            Ok(leader) => self.set_aside_beside(&pod, leader).await,
            Err(error) => {
                tracing::warn!(%error, leader = pod, "the server cannot read its files, which stay: the pod that leads is not heard");
            }
        }
    }

    /// Sets the files aside if this is what the pod that Sentinels name says of itself.
    pub(super) async fn set_aside_beside(&mut self, pod: &str, leader: Leader) {
        if !leader.has_it_all() {
            tracing::warn!(
                ?leader,
                pod,
                "the server cannot read its files, which stay: nobody is seen to lead with data"
            );
            return;
        }
        let marker = set_aside(&self.question(&[]), pod);
        match self.volume.set_aside(marker).await {
            Ok(Kept::Yes(folder)) => {
                tracing::warn!(leader = pod, folder = %folder.display(), "the server cannot read its files: they are set aside, and it begins empty as a replica");
            }
            Ok(Kept::NoRoom) => {
                tracing::warn!(
                    leader = pod,
                    "the server cannot read its files: they are removed, since there is no room to keep them, and it begins empty as a replica"
                );
            }
            Err(error) => {
                tracing::error!(%error, reason = error.reason(), "files that the server cannot read are not set aside");
            }
        }
    }
}

async fn ask_leader(site: &Site, tls: &Arc<TlsContext>, pod: &str) -> Result<Leader, AgentError> {
    let info = connect(site, &site.peer(pod, tls))
        .await?
        .info_all()
        .await?;
    Ok(Leader {
        leads: info.replication.role == NodeRole::Primary,
        loading: info.loading,
        keys: info.keys_total(),
    })
}
