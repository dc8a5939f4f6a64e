//! Asking the bus's Sentinels.

use cachebus_admin::{Credentials, Endpoint, Error, Sentinel};
use cachebus_core::fence::Answer;
use cachebus_core::seal::Vote;
use futures::future::join_all;
use tokio::time::timeout;

/// Asks all at once. One answer for each endpoint, in their order; one that did not come within the endpoint's deadline is
/// silence.
pub(crate) async fn ask(
    endpoints: &[Endpoint],
    credentials: &Credentials,
    master_name: &str,
) -> Vec<Answer> {
    join_all(endpoints.iter().map(|endpoint| async {
        let asked = timeout(
            endpoint.deadline,
            ask_one(endpoint, credentials, master_name),
        );
        match asked.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a Sentinel did not answer");
                Answer::Silent
            }
            Err(_) => Answer::Silent,
        }
    }))
    .await
}

async fn ask_one(
    endpoint: &Endpoint,
    credentials: &Credentials,
    master_name: &str,
) -> Result<Answer, Error> {
    let sentinel = Sentinel::connect(endpoint, Some(credentials)).await?;
    let Some(primary) = sentinel.primary_address(master_name).await? else {
        return Ok(Answer::Unaware);
    };
    let master = sentinel.master(master_name).await?;
    Ok(Answer::Names {
        // From the moment in which it names the new one, it has made it the primary.
        promoting: master.flags.is_failing_over() && primary == master.address,
        vote: Vote {
            primary_host: primary.host,
            config_epoch: master.config_epoch,
        },
    })
}
