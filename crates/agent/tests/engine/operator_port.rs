//! Who may give orders.

use crate::bus::Bus;
use crate::certificates::{Authority, Pair};
use crate::data::lead;
use crate::http;
use crate::pod::{Pod, data};
use cachebus_core::names::Component;
use cachebus_core::protocol::Phase;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

async fn status_code(bus: &Bus, pod: &Pod<'_>, identity: Option<&Pair>) -> Option<u16> {
    let answer = http::request(
        pod.layout.api.port(),
        "127.0.0.1",
        bus.authority.pem(),
        identity,
        ("GET", "/v1/status", ""),
    );
    answer.await.ok().map(|(code, _)| code)
}

#[tokio::test]
async fn only_the_operator_of_this_bus_is_heard() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.status().await;

    let identity = bus.names.operator_identity();
    let foreign_authority = Authority::new().issue(&[&identity]);
    let foreign_name = bus.authority.issue(&["operator.other.ns.cachebus.dev"]);
    let serving = bus
        .authority
        .issue(&["b-redis-1.b-redis-nodes.ns.svc.cluster.local"]);
    for stranger in [
        None,
        Some(&foreign_authority),
        Some(&foreign_name),
        Some(&serving),
    ] {
        assert_eq!(status_code(&bus, &pod, stranger).await, None);
    }
    assert_eq!(
        status_code(&bus, &pod, Some(&bus.operator)).await,
        Some(200)
    );
    pod.stop().await;
}

#[tokio::test]
async fn plain_text_and_unknown_shapes_are_refused() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.status().await;
    assert!(
        http::get(pod.layout.api.port(), "/v1/status")
            .await
            .is_err()
    );
    assert_eq!(pod.get("/v1/status").await.0, 404);
    assert_eq!(pod.ask("PUT", "/v1/topology", "{}").await.0, 422);
    let (code, body) = pod
        .ask(
            "PUT",
            "/v1/monitor",
            r#"{"uid":"6f1c","primary":"b-redis-0","quorum":1,
               "settings":{"downAfterMs":1,"failoverTimeoutMs":1,"parallelSyncs":1}}"#,
        )
        .await;
    assert_eq!(code, 409);
    assert!(body.contains("WrongComponent"), "{body}");
    pod.stop().await;
}

/// A connection on which nothing is said, from an address of its own on the loopback network.
async fn silent(last: u8, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
}

#[tokio::test]
async fn strangers_keep_no_operator_out_and_end_none_of_its_requests() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.status_with(|status| status.acl_digest.is_some() && !data(status).config.is_empty())
        .await;
    let revision = pod.revision().await;
    let crowded = async {
        let mut strangers = Vec::new();
        for number in 0..80 {
            strangers.push(silent(10 + number / 8, pod.layout.api.port()).await);
        }
        // Whoever says nothing is sent away by itself only after 5 s.
        let answered = timeout(Duration::from_secs(3), pod.status()).await;
        assert_eq!(data(&answered.unwrap()).phase, Phase::Sealed);
        lead(&pod, 1).await;
    };
    let (told, ()) = tokio::join!(pod.status_after(&revision), crowded);
    assert_eq!(data(&told).phase, Phase::Leading);
    pod.stop().await;
}
