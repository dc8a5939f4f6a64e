//! One request and its answer on a connection of their own.

use super::{Address, AgentError};
use crate::error::chain;
use ::http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::io;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Most bytes of an answer. A report with every live setting has about a tenth of it.
const MAX_ANSWER: usize = 256 * 1024;
/// Bytes that are read at once. Small, for there is a buffer for each request that an agent holds.
const READ_BUFFER: usize = 1024;

/// Sends a request to an agent that must prove to be `host`, and reads the answer.
pub async fn exchange(
    connector: &TlsConnector,
    to: &Address,
    host: &str,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, AgentError> {
    let failed = |source| AgentError::Connect {
        pod: to.pod.clone(),
        address: to.socket.to_string(),
        source,
    };
    let broken = |error: &dyn std::error::Error| AgentError::Broken {
        pod: to.pod.clone(),
        detail: chain(error),
    };
    let name =
        ServerName::try_from(host.to_owned()).map_err(|error| failed(io::Error::other(error)))?;
    let stream = TcpStream::connect(to.socket).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let stream = connector.connect(name, stream).await.map_err(failed)?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .read_buf_exact_size(Some(READ_BUFFER))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| broken(&*error))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(connection, answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        closed = &mut connection => match closed {
            // The agent closes after its answer, which may be complete but unread.
            Ok(()) => answer.await,
            Err(error) => Err(broken(&error)),
        },
    }
}
