//! Requests as kubelet and the operator make them.

use crate::certificates::Pair;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Status code and body.
pub type Answer = (u16, String);

/// Asks a plain port.
pub async fn get(port: u16, path: &str) -> io::Result<Answer> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (head, body) = exchange(stream, "GET", path, "").await?;
    Ok((code(&head), body))
}

/// Asks a TLS port, showing a certificate or none.
pub async fn request(
    port: u16,
    server_name: &str,
    authority: &str,
    identity: Option<&Pair>,
    request: (&str, &str, &str),
) -> io::Result<Answer> {
    let (head, body) = whole(port, server_name, authority, identity, request).await?;
    Ok((code(&head), body))
}

/// The same, with the whole head of the answer.
pub async fn whole(
    port: u16,
    server_name: &str,
    authority: &str,
    identity: Option<&Pair>,
    (method, path, body): (&str, &str, &str),
) -> io::Result<(String, String)> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(pair) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    exchange(stream, method, path, body).await
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    body: &str,
) -> io::Result<(String, String)> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((head.to_owned(), body.to_owned()))
}

fn code(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}
