use std::path::{Path, PathBuf};

use cachebus_admin::{Endpoint, Server, TlsContext};

use crate::{
    certificates::Authority,
    process::{Process, free_port},
};

const NAME: &str = "b-redis-0.b-redis-nodes.data.svc";

/// A server that shows a certificate for [`NAME`] and demands one of the same CA.
struct TlsServer {
    process: Process,
    port: u16,
    files: PathBuf,
}

impl TlsServer {
    fn start(authority: &Authority) -> Self {
        let port = free_port();
        let files = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{port}"));
        authority.write(&authority.sign(NAME), &files);
        let file = |name: &str| files.join(name).to_string_lossy().into_owned();
        let (tls_port, ca, certificate, key) = (
            port.to_string(),
            file("ca.crt"),
            file("tls.crt"),
            file("tls.key"),
        );
        let process = Process::server(&[
            "--tls-port",
            &tls_port,
            "--tls-ca-cert-file",
            &ca,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
        ]);
        Self {
            process,
            port,
            files,
        }
    }

    /// Dialled by IP, verified by name.
    fn endpoint(&self) -> Endpoint {
        Endpoint::new("127.0.0.1", self.port).with_server_name(NAME)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

async fn refused_as_tls(endpoint: Endpoint) {
    let error = Server::connect(&endpoint, None).await.unwrap_err();
    assert_eq!(error.reason(), "TlsFailed", "{error}");
}

#[tokio::test]
async fn an_ip_is_dialled_and_a_name_verified() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority);
    let ours = authority.context(Some(&authority.sign("agent")));
    let endpoint = server.endpoint().with_tls(ours);
    let connection = Server::connect(&endpoint, None).await.unwrap();
    connection.ping().await.unwrap();
    assert!(connection.peer_certificate().is_some());

    refused_as_tls(
        endpoint
            .clone()
            .with_server_name("b-redis-1.b-redis-nodes.data.svc"),
    )
    .await;
    let unnamed = Endpoint {
        server_name: None,
        ..endpoint
    };
    refused_as_tls(unnamed).await;
}

#[tokio::test]
async fn another_ca_or_no_certificate_is_refused_by_either_side() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority);
    let strange_identity = stranger.sign("agent");
    for context in [
        stranger.context(Some(&authority.sign("agent"))),
        authority.context(Some(&strange_identity)),
        authority.context(None),
    ] {
        refused_as_tls(server.endpoint().with_tls(context)).await;
    }
}

#[tokio::test]
async fn plain_text_and_tls_do_not_mix() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority);
    let plain = Server::connect(&server.endpoint(), None).await.unwrap_err();
    assert_eq!(plain.reason(), "Disconnected", "{plain}");

    let context = authority.context(Some(&authority.sign("agent")));
    let endpoint = server.process.endpoint().with_tls(context);
    let encrypted = Server::connect(&endpoint, None).await.unwrap_err();
    // The server may also wait for the rest of what it takes for a line of text.
    assert!(
        ["TlsFailed", "Timeout"].contains(&encrypted.reason()),
        "{encrypted}"
    );
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_seen() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority);
    let context = authority.context(Some(&authority.sign("agent")));
    let endpoint = server.endpoint().with_tls(context);
    let before = Server::connect(&endpoint, None).await.unwrap();
    authority.write(&authority.sign(NAME), &server.files);
    let path = server.files.join("tls.crt");
    let unchanged_path = path.to_string_lossy();
    let key = server.files.join("tls.key");
    before
        .config_set(&[
            ("tls-cert-file", unchanged_path.as_ref()),
            ("tls-key-file", key.to_string_lossy().as_ref()),
        ])
        .await
        .unwrap();
    let after = Server::connect(&endpoint, None).await.unwrap();
    assert_ne!(before.peer_certificate(), after.peer_certificate());
    before.ping().await.unwrap();
}

#[test]
fn unusable_material_is_named_and_not_quoted() {
    let authority = Authority::new();
    let signed = authority.sign("agent");
    let cases = [
        TlsContext::new(b"nothing", None),
        TlsContext::new(
            signed.certificate.as_bytes(),
            Some(cachebus_admin::ClientIdentity {
                certificate_chain: signed.certificate.as_bytes(),
                private_key: authority.sign("other").key.as_bytes(),
            }),
        ),
        TlsContext::new(
            signed.certificate.as_bytes(),
            Some(cachebus_admin::ClientIdentity {
                certificate_chain: signed.certificate.as_bytes(),
                private_key: b"hunter2",
            }),
        ),
    ];
    for case in cases {
        let error = case.unwrap_err();
        assert_eq!(error.reason(), "TlsMaterialInvalid");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
