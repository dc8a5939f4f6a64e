//! Agents that answer in every way, over TLS with the certificates that a bus would have.

#![allow(clippy::unwrap_used)]

use super::{Address, AgentError, Agents};
use crate::metrics::Metrics;
use crate::pki;
use crate::testing;
use cachebus_core::bus::Bus;
use cachebus_core::names::Component;
use cachebus_core::tls::{Certificates, KeyPair, StoredCertificates};
use futures::future::join_all;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn bus_with_certificates(name: &str) -> (Bus, Certificates) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let bus = testing::bus(name);
    // Certificates are checked against the clock of the machine.
    let now = k8s_openapi::jiff::Timestamp::now().as_second();
    let certificates = pki::settle(&bus, &StoredCertificates::default(), now)
        .unwrap()
        .unwrap();
    (bus, certificates)
}

/// An agent that serves with a certificate, demands the operator's, and answers this to everything. `None`: nothing.
async fn agent(serving: &KeyPair, authority: &str, answer: Option<String>) -> SocketAddr {
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der(authority)).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(
            WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .unwrap(),
        )
        .with_single_cert(
            vec![der(&serving.certificate)],
            PrivateKeyDer::from_pem_slice(serving.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            if let Some(answer) = &answer {
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            } else {
                std::future::pending::<()>().await;
            }
        }
    });
    address
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn status() -> String {
    json!({
        "pod": "b-sentinel-0", "uid": "u", "agentVersion": "0", "engine": null, "crashes": 0, "aclDigest": null,
        "certificateExpires": null, "sentinel": {"up": false, "monitored": null},
    })
    .to_string()
}

async fn look(
    bus: &Bus,
    certificates: &Certificates,
    socket: SocketAddr,
) -> Result<String, AgentError> {
    let agents = Agents::new(Metrics::new()).of(bus, certificates).unwrap();
    let address = Address {
        component: Component::Sentinel,
        pod: "b-sentinel-0".to_owned(),
        socket,
    };
    agents.look(&address).await.map(|report| report.status.uid)
}

#[tokio::test]
async fn an_agent_of_the_bus_is_heard() {
    let (bus, certificates) = bus_with_certificates("b");
    let agent = agent(
        &certificates.serving,
        certificates.authority.certificate(),
        Some(answer("200 OK", &status())),
    )
    .await;
    assert_eq!(look(&bus, &certificates, agent).await.unwrap(), "u");
}

#[tokio::test]
async fn another_pod_of_the_bus_at_the_same_address_is_not_believed() {
    let (bus, certificates) = bus_with_certificates("b");
    let agent = agent(
        &certificates.serving,
        certificates.authority.certificate(),
        Some(answer(
            "200 OK",
            &status().replace("b-sentinel-0", "b-sentinel-1"),
        )),
    )
    .await;
    let error = look(&bus, &certificates, agent).await.unwrap_err();
    assert_eq!(error.reason(), "stranger");
    assert_eq!(
        error.to_string(),
        "b-sentinel-1 answers in the place of b-sentinel-0"
    );
}

#[tokio::test]
async fn a_pod_of_another_bus_at_the_same_address_is_not_believed() {
    let (bus, certificates) = bus_with_certificates("b");
    let (_, others) = bus_with_certificates("c");
    let agent = agent(
        &others.serving,
        certificates.authority.certificate(),
        Some(answer("200 OK", &status())),
    )
    .await;
    assert_eq!(
        look(&bus, &certificates, agent).await.unwrap_err().reason(),
        "unreachable"
    );
}

#[tokio::test]
async fn the_operator_of_one_bus_is_no_operator_of_another() {
    let (bus, certificates) = bus_with_certificates("b");
    let (_, others) = bus_with_certificates("c");
    let agent = agent(
        &certificates.serving,
        others.authority.certificate(),
        Some(answer("200 OK", &status())),
    )
    .await;
    look(&bus, &certificates, agent).await.unwrap_err();
}

#[tokio::test]
async fn a_certificate_of_the_bus_that_is_no_pods_is_not_believed() {
    let (bus, certificates) = bus_with_certificates("b");
    let agent = agent(
        &certificates.operator,
        certificates.authority.certificate(),
        Some(answer("200 OK", &status())),
    )
    .await;
    assert_eq!(
        look(&bus, &certificates, agent).await.unwrap_err().reason(),
        "unreachable"
    );
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_given_up() {
    let (bus, certificates) = bus_with_certificates("b");
    let agent = agent(
        &certificates.serving,
        certificates.authority.certificate(),
        None,
    )
    .await;
    assert_eq!(
        look(&bus, &certificates, agent).await.unwrap_err().reason(),
        "deadline"
    );
}

#[tokio::test]
async fn what_an_agent_refuses_is_told_from_what_goes_wrong() {
    let (bus, certificates) = bus_with_certificates("b");
    let endless = "x".repeat(300 * 1_024);
    for (status, body, reason) in [
        (
            "409 Conflict",
            r#"{"reason": "StaleEpoch", "message": "4 is older than 5"}"#,
            "refused",
        ),
        ("500 Internal Server Error", "", "status"),
        ("200 OK", "{}", "unreadable"),
        ("200 OK", endless.as_str(), "broken"),
    ] {
        let agent = agent(
            &certificates.serving,
            certificates.authority.certificate(),
            Some(answer(status, body)),
        )
        .await;
        let error = look(&bus, &certificates, agent).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
    }
}

#[tokio::test]
async fn pods_that_are_silent_keep_no_other_from_being_heard() {
    let (bus, certificates) = bus_with_certificates("b");
    let live = agent(
        &certificates.serving,
        certificates.authority.certificate(),
        Some(answer("200 OK", &status())),
    )
    .await;
    // Whoever connects is never answered, as by a node that is down.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agents = Agents::new(Metrics::new()).of(&bus, &certificates).unwrap();
    let address = |socket| Address {
        component: Component::Sentinel,
        pod: "b-sentinel-0".to_owned(),
        socket,
    };
    let all: Vec<Address> = std::iter::repeat_n(silent.local_addr().unwrap(), 30)
        .chain([live])
        .map(address)
        .collect();
    let mut looks = join_all(all.iter().map(|address| agents.look(address))).await;
    assert_eq!(looks.pop().unwrap().unwrap().status.uid, "u");
    for look in looks {
        assert_eq!(look.err().unwrap().reason(), "deadline");
    }
}
