//! Asking the bus's Sentinels.

use cachebus_admin::{Credentials, Endpoint, Error, Sentinel};
use cachebus_core::seal::Vote;
use futures::future::join_all;
use tokio::time::timeout;

/// Asks all at once. One answer for each endpoint, in their order; `None`: it did not answer within the endpoint's deadline,
/// or knows no such master.
pub(crate) async fn ask(
    endpoints: &[Endpoint],
    credentials: &Credentials,
    master_name: &str,
) -> Vec<Option<Vote>> {
    join_all(endpoints.iter().map(|endpoint| async {
        timeout(
            endpoint.deadline,
            ask_one(endpoint, credentials, master_name),
        )
        .await
        .ok()?
        .inspect_err(|error| tracing::debug!(%error, "a Sentinel did not answer"))
        .ok()?
    }))
    .await
}

async fn ask_one(
    endpoint: &Endpoint,
    credentials: &Credentials,
    master_name: &str,
) -> Result<Option<Vote>, Error> {
    let sentinel = Sentinel::connect(endpoint, Some(credentials)).await?;
    let Some(primary) = sentinel.primary_address(master_name).await? else {
        return Ok(None);
    };
    let config_epoch = sentinel.master(master_name).await?.config_epoch;
    Ok(Some(Vote {
        primary_host: primary.host,
        config_epoch,
    }))
}
