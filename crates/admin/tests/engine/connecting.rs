use std::time::{Duration, Instant};

use cachebus_admin::{ClientKind, Credentials, Endpoint, Error, Server};
use tokio::{net::TcpListener, time::timeout};

use crate::process::{Process, free_port};

#[tokio::test]
async fn nobody_listens() {
    let endpoint = Endpoint::new("127.0.0.1", free_port());
    let error = Server::connect(&endpoint, None).await.unwrap_err();
    assert_eq!(error.reason(), "ConnectFailed");
    assert_eq!(error.address(), &endpoint.address);
}

#[tokio::test]
async fn a_peer_that_never_answers_costs_one_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deadline = Duration::from_millis(150);
    let endpoint =
        Endpoint::new("127.0.0.1", listener.local_addr().unwrap().port()).with_deadline(deadline);
    let operator = Credentials::new("operator", "hunter2");
    for credentials in [None, Some(&operator)] {
        let started = Instant::now();
        let connecting = Server::connect(&endpoint, credentials).await;
        assert!(matches!(
            connecting,
            Err(Error::Timeout {
                attempted: "connect",
                ..
            })
        ));
        let elapsed = started.elapsed();
        assert!(
            elapsed >= deadline && elapsed < 10 * deadline,
            "{elapsed:?}"
        );
    }
}

#[tokio::test]
async fn a_frozen_server_costs_each_command_one_deadline() {
    let process = Process::server(&[]);
    let deadline = Duration::from_millis(150);
    let endpoint = process.endpoint().with_deadline(deadline);
    let server = Server::connect(&endpoint, None).await.unwrap();
    process.freeze();
    let started = Instant::now();
    let error = server.ping().await.unwrap_err();
    assert!(matches!(
        error,
        Error::Timeout {
            attempted: "PING",
            ..
        }
    ));
    assert!(error.needs_reconnect());
    let elapsed = started.elapsed();
    assert!(
        elapsed >= deadline && elapsed < 10 * deadline,
        "{elapsed:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_told_from_other_refusals_and_not_repeated() {
    let server = Process::server(&["--maxclients", "1"]);
    let stranger = Credentials::new("operator", "hunter2");
    let refused = Server::connect(&server.endpoint(), Some(&stranger))
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "AuthFailed");
    assert!(!format!("{refused} {refused:?}").contains("hunter2"));

    let _only = server.connect().await;
    let full = Server::connect(&server.endpoint(), Some(&stranger))
        .await
        .unwrap_err();
    assert_eq!(full.reason(), "CommandRefused", "{full}");
    assert!(full.to_string().contains("max number of clients"), "{full}");
}

#[tokio::test]
async fn without_a_login_a_protected_server_refuses() {
    let process = Process::server(&["--requirepass", "hunter2"]);
    let refused = Server::connect(&process.endpoint(), None)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("NOAUTH"));
    let server = process.connect_as("default", "hunter2").await;
    server.ping().await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_is_known() {
    let server = Process::server(&[]);
    let connection = server.connect().await;
    connection.ping().await.unwrap();
    assert!(!connection.is_closed());
    drop(server);
    let error = connection.ping().await.unwrap_err();
    assert_eq!(error.reason(), "Disconnected", "{error}");
    assert!(error.needs_reconnect() && connection.is_closed());
}

#[tokio::test]
async fn the_end_of_an_idle_connection_is_told_at_once() {
    let process = Process::server(&[]);
    let (mut idle, other) = (process.connect().await, process.connect().await);
    let healthy = timeout(Duration::from_millis(100), idle.ended()).await;
    assert!(healthy.is_err(), "a healthy connection's silence is no end");

    // As Sentinels do when they change a server's role.
    other.client_kill_kind(ClientKind::Normal).await.unwrap();
    timeout(Duration::from_secs(5), idle.ended()).await.unwrap();
    assert!(idle.is_closed());
    idle.ended().await;
    other.ping().await.unwrap();
}
