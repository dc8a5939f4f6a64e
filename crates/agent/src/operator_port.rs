//! The TLS in front of the operator's port: the bus's own authority, and the operator's name.

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long a handshake, or the head of a request, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections at a time; the operator needs one or two.
const CONNECTIONS: usize = 32;
/// Between attempts to accept while the system has no file descriptors to give.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// Who may speak to this agent, and what is behind the port.
#[derive(Clone)]
pub(crate) struct Gate {
    /// The newest certificate in use.
    pub(crate) tls: watch::Receiver<Arc<ServerConfig>>,
    /// DNS name that the client's certificate must carry.
    pub(crate) operator: String,
    pub(crate) routes: Router,
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, gate: Gate) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let gate = gate.clone();
                tokio::spawn(async move {
                    if let Err(error) = gate.admit(stream).await {
                        tracing::debug!(%peer, %error, "connection to the operator's port ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the operator's port accepts nobody");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

impl Gate {
    async fn admit(self, stream: TcpStream) -> io::Result<()> {
        let config = Arc::clone(&self.tls.borrow());
        let stream = timeout(PATIENCE, TlsAcceptor::from(config).accept(stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first());
        if !certificate.is_some_and(|certificate| carries(certificate, &self.operator)) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the certificate is not the operator's",
            ));
        }
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE * 12)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.routes))
            .await
            .map_err(io::Error::other)
    }
}

/// Whether the certificate is valid for this DNS name.
fn carries(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else {
        return false;
    };
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(&name).is_ok())
}
