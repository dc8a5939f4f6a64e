//! Asking the bus's Sentinels.

use cachebus_admin::{Credentials, Endpoint, Error, Sentinel};
use cachebus_core::fence::Answer;
use cachebus_core::seal::Vote;
use futures::future::join_all;
use std::mem;
use std::sync::Arc;
use tokio::time::timeout;

/// Connections to Sentinels, each kept for the next question while its Sentinel answers: a handshake costs both ends far more
/// than a question.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    open: Vec<Sentinel>,
}

impl Lines {
    /// Asks all at once. One answer for each endpoint, in their order; one that did not come within the endpoint's deadline is
    /// silence.
    pub(crate) async fn ask(
        &mut self,
        endpoints: &[Endpoint],
        credentials: &Credentials,
        master_name: &str,
    ) -> Vec<Answer> {
        let mut open = mem::take(&mut self.open);
        let asked = join_all(endpoints.iter().map(|endpoint| {
            let kept = open.iter().position(|line| leads_to(line, endpoint));
            let kept = kept.map(|at| open.swap_remove(at));
            let asked = ask_one(kept, endpoint, credentials, master_name);
            timeout(endpoint.deadline, asked)
        }))
        .await;
        let heard = asked.into_iter().map(|asked| match asked {
            Ok(Ok((line, answer))) => {
                self.open.push(line);
                answer
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a Sentinel did not answer");
                Answer::Silent
            }
            Err(_) => Answer::Silent,
        });
        heard.collect()
    }
}

/// Whether a connection is what would be opened to this endpoint now.
fn leads_to(line: &Sentinel, endpoint: &Endpoint) -> bool {
    let own = line.endpoint();
    let same_tls = match (&own.tls, &endpoint.tls) {
        (Some(own), Some(now)) => Arc::ptr_eq(own, now),
        (None, None) => true,
        _ => false,
    };
    same_tls && own.address == endpoint.address && own.deadline == endpoint.deadline
}

/// Asks by the connection that was kept, and where that has ended by a new one.
async fn ask_one(
    kept: Option<Sentinel>,
    endpoint: &Endpoint,
    credentials: &Credentials,
    master_name: &str,
) -> Result<(Sentinel, Answer), Error> {
    if let Some(kept) = kept
        && let Ok(answer) = answer(&kept, master_name).await
    {
        return Ok((kept, answer));
    }
    let new = Sentinel::connect(endpoint, Some(credentials)).await?;
    let answer = answer(&new, master_name).await?;
    Ok((new, answer))
}

async fn answer(sentinel: &Sentinel, master_name: &str) -> Result<Answer, Error> {
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
