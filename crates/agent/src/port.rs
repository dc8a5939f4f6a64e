//! Connections to a port of the agent: few at a time, and none for long without a request. The agent lives within the
//! server's memory limit, and what strangers hold open counts there.

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Most bytes of the head of a request, per connection.
const HEAD: usize = 16 * 1024;
/// Between attempts to accept while the system has no file descriptors to give.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// How much a port takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Which port, for people.
    pub(crate) name: &'static str,
    /// Connections at a time. More wait.
    pub(crate) connections: usize,
    /// Connections at a time from one address. More are closed at once, so that one stranger keeps nobody else out.
    pub(crate) of_one: usize,
}

/// HTTP with a bounded head, which has to be there within this time.
pub(crate) fn http(head: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD);
    http
}

/// Accepts until dropped, and answers each connection within the limits.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    limits: Limits,
    answer: impl Fn(TcpStream) -> F + Send,
) where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let port = limits.name;
    let places = Arc::new(Semaphore::new(limits.connections));
    let guests = Guests::default();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(seat) = guests.seat(peer.ip(), limits.of_one, place) else {
                    tracing::debug!(%peer, port, "a peer holds too many connections");
                    continue;
                };
                let answered = answer(stream);
                tokio::spawn(async move {
                    if let Err(error) = answered.await {
                        tracing::debug!(%peer, port, %error, "a connection ended");
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(port, %error, "a port accepts nobody");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

/// Connections by address.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// The place of one connection, until dropped.
struct Seat {
    guests: Guests,
    peer: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Guests {
    fn seat(&self, peer: IpAddr, most: usize, place: OwnedSemaphorePermit) -> Option<Seat> {
        let peer = peer.to_canonical();
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = guests.entry(peer).or_default();
        if *held >= most {
            return None;
        }
        *held += 1;
        Some(Seat {
            guests: self.clone(),
            peer,
            _place: place,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut guests = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = guests.get_mut(&self.peer) {
            *held -= 1;
            if *held == 0 {
                guests.remove(&self.peer);
            }
        }
    }
}
