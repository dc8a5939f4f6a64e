//! From an endpoint to an authenticated byte stream: TCP, TLS, AUTH.

use std::io;

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    command::Command, credentials::Credentials, endpoint::Endpoint, error::Error, tls::TlsContext,
};

/// Longer than any error an engine answers AUTH with.
const LONGEST_REPLY: usize = 1024;

pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

pub(crate) struct Established {
    pub(crate) stream: Box<dyn ByteStream>,
    pub(crate) peer_certificate: Option<CertificateDer<'static>>,
}

/// Ends with an answer of the server, so that a refusal at this layer is told as what it is: a server that speaks TLS 1.3 refuses our
/// certificate only after the handshake, and the `redis` crate reports whatever AUTH is answered with as a wrong password, also "max
/// number of clients reached".
pub(crate) async fn establish(
    endpoint: &Endpoint,
    credentials: Option<&Credentials>,
) -> Result<Established, Error> {
    let steps = async {
        let mut established = open(endpoint).await?;
        match credentials {
            Some(credentials) => login(endpoint, credentials, &mut established.stream).await?,
            None => greet(endpoint, &mut established.stream).await?,
        }
        Ok(established)
    };
    timeout(endpoint.deadline, steps).await.unwrap_or_else(|_| {
        Err(Error::Timeout {
            address: endpoint.address.clone(),
            attempted: "connect",
            after: endpoint.deadline,
        })
    })
}

async fn open(endpoint: &Endpoint) -> Result<Established, Error> {
    let connect_failed = |source| Error::Connect {
        address: endpoint.address.clone(),
        source,
    };
    let tcp = TcpStream::connect((endpoint.address.host.as_str(), endpoint.address.port))
        .await
        .map_err(connect_failed)?;
    tcp.set_nodelay(true).map_err(connect_failed)?;
    match &endpoint.tls {
        None => Ok(Established {
            stream: Box::new(tcp),
            peer_certificate: None,
        }),
        Some(context) => secure(endpoint, context, tcp).await,
    }
}

async fn secure(
    endpoint: &Endpoint,
    context: &TlsContext,
    tcp: TcpStream,
) -> Result<Established, Error> {
    let tls_failed = |source| Error::Tls {
        address: endpoint.address.clone(),
        server_name: endpoint.verified_name().to_owned(),
        source,
    };
    let name = ServerName::try_from(endpoint.verified_name().to_owned())
        .map_err(|invalid| tls_failed(io::Error::new(io::ErrorKind::InvalidInput, invalid)))?;
    let stream = TlsConnector::from(context.config())
        .connect(name, tcp)
        .await
        .map_err(tls_failed)?;
    let peer_certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| leaf.clone().into_owned());
    Ok(Established {
        stream: Box::new(stream),
        peer_certificate,
    })
}

async fn login(
    endpoint: &Endpoint,
    credentials: &Credentials,
    stream: &mut Box<dyn ByteStream>,
) -> Result<(), Error> {
    let command = Command::new("AUTH")
        .arg(&credentials.username)
        .secret(credentials.password.expose());
    match exchange(endpoint, &command, stream).await {
        Err(Error::Refused { address, code, .. }) if code == "WRONGPASS" => Err(Error::Auth {
            address,
            username: credentials.username.clone(),
        }),
        answered => answered,
    }
}

/// A server that is loading, or without its primary, is there all the same.
async fn greet(endpoint: &Endpoint, stream: &mut Box<dyn ByteStream>) -> Result<(), Error> {
    match exchange(endpoint, &Command::new("PING"), stream).await {
        Err(Error::Refused { code, .. }) if code == "LOADING" || code == "MASTERDOWN" => Ok(()),
        answered => answered,
    }
}

/// Sends a command that is answered by one line.
pub(crate) async fn exchange(
    endpoint: &Endpoint,
    command: &Command,
    stream: &mut Box<dyn ByteStream>,
) -> Result<(), Error> {
    send(endpoint, command, stream).await?;
    let reply = read_line(stream)
        .await
        .map_err(|source| lost(endpoint, command.name(), source))?;
    judge(endpoint, command, &reply)
}

pub(crate) async fn send(
    endpoint: &Endpoint,
    command: &Command,
    stream: &mut Box<dyn ByteStream>,
) -> Result<(), Error> {
    let lost = |source| lost(endpoint, command.name(), source);
    stream
        .write_all(&command.cmd().get_packed_command())
        .await
        .map_err(lost)?;
    stream.flush().await.map_err(lost)
}

/// What a line says that answers a command.
pub(crate) fn judge(endpoint: &Endpoint, command: &Command, reply: &str) -> Result<(), Error> {
    match reply.split_at_checked(1) {
        Some(("+", _)) => Ok(()),
        Some(("-", refusal)) => {
            let (code, message) = refusal.split_once(' ').unwrap_or((refusal, ""));
            Err(Error::Refused {
                address: endpoint.address.clone(),
                command: command.name(),
                code: code.to_owned(),
                message: command.scrub(message),
            })
        }
        _ => Err(Error::UnexpectedReply {
            address: endpoint.address.clone(),
            command: command.name(),
            detail: "expected a status line".to_owned(),
        }),
    }
}

/// A connection that ended, or TLS that ended it.
pub(crate) fn lost(endpoint: &Endpoint, attempted: &'static str, source: io::Error) -> Error {
    if source
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some()
    {
        return Error::Tls {
            address: endpoint.address.clone(),
            server_name: endpoint.verified_name().to_owned(),
            source,
        };
    }
    Error::Disconnected {
        address: endpoint.address.clone(),
        attempted,
        source,
    }
}

/// Reads byte by byte: what follows the line belongs to the protocol's own reader.
pub(crate) async fn read_line(stream: &mut Box<dyn ByteStream>) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LONGEST_REPLY {
        match stream.read_u8().await? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
