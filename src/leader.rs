//! Leadership among operator pods, so that as a rule one acts.
//!
//! Nothing rests on it being exactly one: what is intended is recorded by compare-and-swap, and agents refuse orders of an
//! older epoch.

use crate::settings::Settings;
use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError, LeaseParams};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Seconds after which the Lease of a process that died is free.
const DURATION_S: u64 = 10;
/// Seconds before its end at which the Lease is renewed.
const GRACE_S: u64 = 4;
/// Time to give the Lease back at the end.
const RESIGNATION: Duration = Duration::from_secs(3);

/// The candidacy of this process.
pub enum Leadership {
    /// By a Lease.
    Lease {
        /// Whether this process holds it.
        holds: watch::Receiver<bool>,
        /// Renews it, and gives it back when nobody listens any more.
        keeper: JoinHandle<Result<LeaseManager, LeaseManagerError>>,
    },
    /// Leadership was not asked for: this process acts alone.
    Alone,
}

impl Leadership {
    /// Runs for leadership.
    pub async fn candidate(client: Client, settings: &Settings) -> Result<Self, LeaseManagerError> {
        if settings.no_leader_election {
            return Ok(Self::Alone);
        }
        let namespace = settings
            .lease_namespace
            .as_ref()
            .unwrap_or(&settings.pod_namespace);
        let manager = LeaseManagerBuilder::new(client, &settings.lease_name)
            .with_namespace(namespace)
            .with_parameters(LeaseParams::new(&settings.pod_name, DURATION_S, GRACE_S))
            .build()
            .await?;
        let (holds, keeper) = manager.watch().await;
        Ok(Self::Lease { holds, keeper })
    }

    /// Returns when this process leads. `false`: it never will.
    pub async fn won(&mut self) -> bool {
        match self {
            Self::Lease { holds, .. } => holds.wait_for(|holds| *holds).await.is_ok(),
            Self::Alone => true,
        }
    }

    /// Returns when this process has lost the leadership that it had.
    pub async fn lost(&mut self) {
        match self {
            Self::Lease { holds, .. } => {
                // An error means that nobody renews the Lease any more, which is the same.
                let _ = holds.wait_for(|holds| !*holds).await;
            }
            Self::Alone => std::future::pending().await,
        }
    }

    /// Gives the leadership back, so that the next process need not wait for the Lease to run out.
    pub async fn resign(self) {
        let Self::Lease { holds, keeper } = self else {
            return;
        };
        drop(holds);
        match tokio::time::timeout(RESIGNATION, keeper).await {
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the Lease was not given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the Lease was not given back"),
            Err(_) => tracing::warn!("the Lease was not given back in time"),
        }
    }
}
