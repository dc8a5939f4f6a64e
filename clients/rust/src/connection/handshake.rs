//! From an address to a byte stream on which the service is logged in: TCP, TLS, AUTH, ROLE.

use std::io;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::binding::{Address, Current};
use crate::error::{Error, Result};
use crate::settings::Settings;

/// Longer than any line that is looked at.
const LONGEST_LINE: usize = 1024;

/// More than the lines of any answer to `ROLE`.
const MOST_LINES: usize = 4096;

/// Where the answer to `ROLE` has the role: after the lengths of the answer and of the word. Further words may be names of hosts.
const ROLE_LINE: usize = 2;

pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

pub(super) type Stream = Box<dyn ByteStream>;

/// What is at an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    DataNode,
    Sentinel,
}

/// A stream after the login.
pub(super) struct Established {
    pub(super) stream: Stream,
    /// Whether the peer is a primary. No Sentinel is.
    pub(super) leads: bool,
}

/// Connects and logs in. All that fails here was before any call: nothing is done.
pub(super) async fn establish(
    current: &Current,
    address: &Address,
    peer: Peer,
    settings: &Settings,
) -> Result<Established> {
    let unreachable = || Error::Unavailable(format!("{address} cannot be reached"));
    let mut stream = timeout(settings.connect_timeout, open(current, address))
        .await
        .map_err(|_| unreachable())?
        .map_err(|error| {
            tracing::debug!(%address, %error, "connecting failed");
            unreachable()
        })?;
    let leads = timeout(
        settings.connect_timeout,
        greet(current, address, peer, &mut stream),
    )
    .await
    .map_err(|_| Error::Unavailable(format!("{address} does not answer")))??;
    Ok(Established { stream, leads })
}

async fn open(current: &Current, address: &Address) -> io::Result<Stream> {
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
    tcp.set_nodelay(true)?;
    let Some(trust) = &current.tls else {
        return Ok(Box::new(tcp));
    };
    let name = ServerName::try_from(address.host.clone())
        .map_err(|invalid| io::Error::new(io::ErrorKind::InvalidInput, invalid))?;
    Ok(Box::new(trust.connector().connect(name, tcp).await?))
}

/// The login and the question for the role in one round trip. `PING` marks the end of an answer whose form is not parsed.
async fn greet(
    current: &Current,
    address: &Address,
    peer: Peer,
    stream: &mut Stream,
) -> Result<bool> {
    let lost = |_| Error::Unavailable(format!("{address} ended the connection"));
    let mut greeting = Vec::new();
    let login = login(current);
    if let Some(login) = &login {
        login.write_packed_command(&mut greeting);
    }
    if peer == Peer::DataNode {
        redis::cmd("ROLE").write_packed_command(&mut greeting);
    }
    redis::cmd("PING").write_packed_command(&mut greeting);
    stream.write_all(&greeting).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    if login.is_some() {
        let line = read_line(stream).await.map_err(lost)?;
        accepted(&line, address)?;
    }
    let mut leads = false;
    for number in 0..MOST_LINES {
        let line = read_line(stream).await.map_err(lost)?;
        match line.as_str() {
            "+PONG" => return Ok(leads),
            "master" if number == ROLE_LINE => leads = true,
            line => accepted(line, address)?,
        }
    }
    Err(Error::Unavailable(format!("{address} is no server")))
}

fn login(current: &Current) -> Option<redis::Cmd> {
    let password = current.binding.password()?;
    let mut login = redis::cmd("AUTH");
    if let Some(username) = &current.binding.username {
        login.arg(username);
    }
    login.arg(password);
    Some(login)
}

/// Anything but an error will do.
fn accepted(line: &str, address: &Address) -> Result<()> {
    let Some(refusal) = line.strip_prefix('-') else {
        return Ok(());
    };
    Err(match refusal.split(' ').next().unwrap_or_default() {
        "WRONGPASS" | "NOAUTH" => Error::AuthenticationFailed(format!(
            "{address} does not take the binding's credentials"
        )),
        "NOPERM" => Error::Denied {
            command: "ROLE".to_owned(),
        },
        // Loading, or as many clients as it takes, or no Redis at all.
        _ => Error::Refused(format!("{address} takes no connection at the moment")),
    })
}

/// Reads byte by byte: what follows the last line belongs to the protocol's own reader.
async fn read_line(stream: &mut Stream) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LONGEST_LINE {
        match stream.read_u8().await? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
