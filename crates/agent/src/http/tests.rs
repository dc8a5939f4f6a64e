#![allow(clippy::unwrap_used)]

use super::{CONNECTION, HEAD, LIMITS, serve};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nhost: pod\r\n\r\n";

async fn port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, snapshots) = watch::channel(None);
    tokio::spawn(serve(listener, snapshots));
    address
}

/// A connection from an address of its own on the loopback network.
async fn from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind((Ipv4Addr::new(127, 0, 0, last), 0).into())
        .unwrap();
    socket.connect(to).await.unwrap()
}

/// What is answered until the connection is closed.
async fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    // A connection that was closed with the request unread is reset.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

async fn ask(mut stream: TcpStream) -> String {
    let _ = stream.write_all(REQUEST).await;
    answer(stream).await
}

#[tokio::test]
async fn a_connection_serves_one_request() {
    let answer = ask(from(1, port().await).await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn one_peer_keeps_nobody_else_out() {
    let port = port().await;
    let mut silent = Vec::new();
    for _ in 0..LIMITS.of_one {
        silent.push(from(2, port).await);
    }
    assert_eq!(ask(from(2, port).await).await, "");
    assert!(ask(from(3, port).await).await.starts_with("HTTP/1.1 200"));
    // Whoever leaves makes room.
    drop(silent);
    let room = async {
        while ask(from(2, port).await).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(HEAD, room).await.unwrap();
}

#[tokio::test]
async fn however_many_hold_connections_open_a_probe_is_answered() {
    let port = port().await;
    let mut silent = Vec::new();
    for number in 0..2 * LIMITS.connections {
        let peer = u8::try_from(10 + number / LIMITS.of_one).unwrap();
        silent.push(from(peer, port).await);
    }
    let probed = timeout(HEAD / 2, ask(from(100, port).await)).await;
    assert!(probed.unwrap().starts_with("HTTP/1.1 200"));
    // The oldest of them made room, the newest are left to their time.
    let newest = tokio::spawn(answer(silent.pop().unwrap()));
    let oldest = timeout(HEAD / 2, answer(silent.swap_remove(0))).await;
    assert_eq!(oldest.unwrap(), "");
    assert!(!newest.is_finished());
}

#[tokio::test]
async fn who_asks_nothing_or_goes_on_asking_is_sent_away() {
    let port = port().await;
    let begun = Instant::now();
    let silent = tokio::spawn(answer(from(1, port).await));
    let mut slow = from(2, port).await;
    slow.write_all(&REQUEST[..REQUEST.len() - 2]).await.unwrap();
    let slow = tokio::spawn(answer(slow));
    for connection in [silent, slow] {
        let answer = timeout(CONNECTION, connection).await.unwrap().unwrap();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(begun.elapsed() >= HEAD, "a slow peer has its time");
}
