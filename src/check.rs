//! `cachebus check <url>`: asks an operator whether it is ready, from an image that holds no other program.

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::io::Write;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long the operator may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Most bytes of an answer.
const MAX_ANSWER: usize = 16 * 1024;

/// Prints what `url` answers; an error unless it answers with success.
pub async fn check(url: &http::Uri, out: &mut impl Write) -> anyhow::Result<()> {
    let (status, body) = tokio::time::timeout(DEADLINE, get(url))
        .await
        .with_context(|| format!("{url} did not answer within {DEADLINE:?}"))??;
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

    use super::check;
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
}
