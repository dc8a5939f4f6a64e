//! The TLS in front of the operator's port: the bus's own authority, and the operator's name.

use crate::port::{self, Limits, Seat};
use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a connection may be without a request.
const IDLE: Duration = Duration::from_mins(1);
/// Those who have not shown yet that they are the operator. It makes one or two connections at a time.
const LIMITS: Limits = Limits {
    name: "operator",
    connections: 32,
    of_one: 8,
};

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
    port::serve(listener, LIMITS, |stream, seat| {
        gate.clone().admit(stream, seat)
    })
    .await;
}

impl Gate {
    async fn admit(self, stream: TcpStream, seat: Seat) -> io::Result<()> {
        let config = Arc::clone(&self.tls.borrow());
        let stream = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream))
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
        // It asks and is held for as long as it takes, whoever else comes.
        drop(seat);
        port::http(IDLE)
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
