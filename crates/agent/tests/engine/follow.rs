//! Mounted files that change under a running agent.

use crate::bus::Bus;
use crate::pod::{Pod, until, until_is};
use cachebus_core::acl::digest;
use cachebus_core::names::Component;
use cachebus_core::protocol::{AclOrder, Phase};
use cachebus_core::tls::fingerprint;
use std::path::Path;

const SERVICE: &str = "user service on nopass ~service:* +get\n";

#[tokio::test]
async fn users_follow_the_file_and_the_order_whichever_is_later() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    let expect = |more: &str| Some(digest(&bus.users(more)));
    pod.status_with(|status| status.acl_digest == expect(""))
        .await;

    bus.write_users(SERVICE);
    pod.status_with(|status| status.acl_digest == expect(SERVICE))
        .await;
    assert!(bus.redis(&["ACL", "USERS"]).await.contains("service"));

    let order = AclOrder {
        text: bus.users(""),
    };
    let (code, body) = pod.put("/v1/acl", &order).await;
    assert_eq!(code, 200, "{body}");
    assert_eq!(pod.status().await.acl_digest, expect(""));
    assert!(!bus.redis(&["ACL", "USERS"]).await.contains("service"));

    let (code, body) = pod
        .put(
            "/v1/acl",
            &AclOrder {
                text: "user default on nopass ~* +@all\n".to_owned(),
            },
        )
        .await;
    assert_eq!(code, 409);
    assert!(body.contains("AclFileInvalid"), "{body}");
    pod.stop().await;
}

#[tokio::test]
async fn a_user_that_the_server_refuses_keeps_nobody_from_the_primary() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    crate::data::lead(&pod, 1).await;
    until_is(200, || async { pod.get("/readyz").await.0 }).await;

    bus.write_users(&format!(
        "user refused on nopass +no-such-command\n{SERVICE}"
    ));
    pod.status_with(|status| status.acl_digest.is_none()).await;
    until_is(true, || async {
        bus.redis(&["ACL", "USERS"]).await.contains("service")
    })
    .await;
    assert_eq!(pod.status().await.acl_digest, None);
    assert_eq!(pod.get("/readyz").await.0, 200);
    pod.stop().await;
}

#[tokio::test]
async fn users_that_were_changed_by_hand_are_put_back() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.status_with(|status| status.acl_digest.is_some()).await;
    bus.redis(&["ACL", "SETUSER", "intruder", "on", "nopass", "+@all"])
        .await;
    bus.redis(&["ACL", "SETUSER", "probe", "off"]).await;
    until_is((false, true), || async {
        let users = bus.redis(&["ACL", "LIST"]).await;
        (users.contains("intruder"), users.contains("user probe on "))
    })
    .await;
    pod.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_served_by_the_server_and_to_the_operator() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    let before = pod.phase(Phase::Sealed).await;
    let (server, port) = (bus.config.port, pod.layout.api.port());
    let old = (served(&bus, server).await, served(&bus, port).await);
    assert_eq!(before.certificate, Some(fingerprint(&old.0)));

    bus.write_certificate();
    let new = leaf(&bus.path("tls").join("tls.crt"));
    assert_ne!(old.0, new);
    until_is((new.clone(), new.clone()), || async {
        (served(&bus, server).await, served(&bus, port).await)
    })
    .await;
    let after = pod
        .status_with(|status| status.certificate != before.certificate)
        .await;
    assert_eq!(after.certificate, Some(fingerprint(&new)));
    assert_eq!(
        after.certificate_expires, before.certificate_expires,
        "both end in the same second"
    );
    pod.stop().await;
}

/// The certificate that a port shows, DER.
async fn served(bus: &Bus, port: u16) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let authority = bus.authority.pem();
    roots
        .add(rustls_pki_types::CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    until(|| async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .ok()?;
        let name = rustls_pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config.clone()))
            .connect(name, stream)
            .await
            .ok()?;
        let chain = stream.get_ref().1.peer_certificates()?;
        Some(chain.first()?.to_vec())
    })
    .await
}

fn leaf(path: &Path) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject;
    rustls_pki_types::CertificateDer::from_pem_file(path)
        .unwrap()
        .to_vec()
}
