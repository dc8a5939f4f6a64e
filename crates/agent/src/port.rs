//! Connections to a port of the agent, or of the operator: few at a time, and none for long without a request. The agent lives
//! within the server's memory limit, and what strangers hold open counts there.

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Most bytes of the head of a request, per connection.
const HEAD: usize = 16 * 1024;
/// Between attempts to accept while the system has no file descriptors to give.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// How much a port takes of those who may be anyone.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Which port, for people.
    pub name: &'static str,
    /// Connections at a time. One more ends the oldest: who has something to ask has asked it by then, and those who hold
    /// connections open keep nobody out, however many they are.
    pub connections: usize,
    /// Connections at a time from one address. More are closed at once, so that it takes many to end those of others.
    pub of_one: usize,
}

/// HTTP with a bounded head, which has to be there within this time.
pub fn http(head: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD);
    http
}

/// Accepts until dropped, and answers each connection within the limits for as long as `answer` keeps its seat.
pub async fn serve<F>(
    listener: TcpListener,
    limits: Limits,
    answer: impl Fn(TcpStream, Seat) -> F + Send,
) where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let port = limits.name;
    let guests = Guests::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some((seat, sent_away)) = guests.seat(peer, limits) else {
                    tracing::debug!(%peer, port, "a peer holds too many connections");
                    continue;
                };
                let answered = answer(stream, seat);
                tokio::spawn(async move {
                    let answered = tokio::select! {
                        answered = answered => answered,
                        () = sent_away.told() => Err(io::Error::other("another took its place")),
                    };
                    if let Err(error) = answered {
                        tracing::debug!(%peer, port, %error, "a connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(port, %error, "a port accepts nobody");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

/// The connections that count, oldest first.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<VecDeque<Guest>>>);

struct Guest {
    peer: SocketAddr,
    send_away: oneshot::Sender<()>,
}

/// The place of one connection, until dropped. One that has none does not count, and is left alone.
pub struct Seat {
    guests: Guests,
    peer: SocketAddr,
}

/// Tells a connection that its place was given to another.
struct SentAway(oneshot::Receiver<()>);

impl SentAway {
    async fn told(self) {
        if self.0.await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Guests {
    fn seat(&self, peer: SocketAddr, limits: Limits) -> Option<(Seat, SentAway)> {
        let mut guests = self.lock();
        let address = canonical(peer);
        let held = guests
            .iter()
            .filter(|guest| canonical(guest.peer) == address);
        if held.count() >= limits.of_one {
            return None;
        }
        if guests.len() >= limits.connections
            && let Some(oldest) = guests.pop_front()
        {
            // One that has just ended hears nothing any more.
            let _ = oldest.send_away.send(());
        }
        let (send_away, told) = oneshot::channel();
        guests.push_back(Guest { peer, send_away });
        let seat = Seat {
            guests: self.clone(),
            peer,
        };
        Some((seat, SentAway(told)))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Guest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn canonical(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.guests.lock().retain(|guest| guest.peer != self.peer);
    }
}
