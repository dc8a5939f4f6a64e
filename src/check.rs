//! `cachebus check <url>`: asks an operator whether it is ready, from an image that holds no other program.

use anyhow::{Context as _, bail};
use backon::{ConstantBuilder, Retryable as _};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::io::Write;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// How often a question that got no answer is asked again, a second apart: nodes route to a pod that has just become
/// ready a second or two later, and refuse connections until then.
const RETRIES: usize = 30;

/// Most bytes of an answer.
const MAX_ANSWER: usize = 16 * 1024;

/// Prints what `url` answers, the first time that it does; an error unless it answers with success.
pub async fn check(url: &http::Uri, out: &mut impl Write) -> anyhow::Result<()> {
    let ask = || async {
        tokio::time::timeout(DEADLINE, get(url))
            .await
            .with_context(|| format!("{url} did not answer within {DEADLINE:?}"))?
    };
    let patience = ConstantBuilder::new()
        .with_delay(Duration::from_secs(1))
        .with_max_times(RETRIES);
    let (status, body) = ask.retry(patience).await?;
    out.write_all(&body)?;
    if !status.is_success() {
        bail!("{url} answered {status}");
    }
    Ok(())
}

async fn get(url: &http::Uri) -> anyhow::Result<(http::StatusCode, Bytes)> {
    let host = url.host().with_context(|| format!("{url} names no host"))?;
    let port = url.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host, port))
        .await
        .with_context(|| format!("cannot connect to {host}:{port}"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = http::Request::get(url.path())
        .header(http::header::HOST, host)
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("{url} broke off its answer: {error}"))?;
        anyhow::Ok((status, body.to_bytes()))
    };
    tokio::select! {
        answer = exchange => answer,
        ended = connection => bail!("{url} closed the connection: {ended:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Duration, check};
    use crate::metrics::Metrics;
    use crate::readiness::Readiness;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn says_what_an_operator_that_is_not_ready_waits_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let readiness = Readiness::default();
        readiness.wait_for("the CRD");
        tokio::spawn(crate::http::serve(
            listener,
            readiness.clone(),
            Metrics::new(),
        ));
        let mut out = Vec::new();
        assert!(check(&url, &mut out).await.is_err());
        assert!(
            String::from_utf8(out)
                .unwrap()
                .contains("waits for the CRD")
        );

        readiness.done("the CRD");
        assert!(check(&url, &mut Vec::new()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn asks_again_while_connections_are_refused() {
        let freed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = freed.local_addr().unwrap();
        drop(freed);
        let url = format!("http://{address}/readyz").parse().unwrap();
        let mut out = Vec::new();
        let later = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let listener = TcpListener::bind(address).await.unwrap();
            crate::http::serve(listener, Readiness::default(), Metrics::new()).await;
        };
        tokio::select! {
            answer = check(&url, &mut out) => answer.unwrap(),
            () = later => panic!("the server ended"),
        }
    }
}
