//! One load for all that ask for the same key at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// Flights on their way, by key.
pub(super) struct Flights<T> {
    on_their_way: Mutex<HashMap<String, Flight<T>>>,
}

struct Flight<T> {
    landed: Arc<OnceCell<T>>,
    passengers: usize,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self {
            on_their_way: Mutex::default(),
        }
    }
}

impl<T: Clone> Flights<T> {
    /// What `fly`, or that of another who asked for this key before, comes to. Where the one that flies is dropped, another takes over.
    pub(super) async fn join(&self, key: &str, fly: impl Future<Output = T>) -> T {
        let seat = self.board(key);
        let mut landed = Arc::clone(&seat.landed);
        landed.get_or_init(|| fly).await;
        drop(seat);
        // Who is alone with it needs no copy.
        if let Some(alone) = Arc::get_mut(&mut landed).and_then(OnceCell::take) {
            return alone;
        }
        // It has landed: nothing flies again.
        landed.get_or_init(std::future::pending).await.clone()
    }

    fn board(&self, key: &str) -> Seat<'_, T> {
        let mut on_their_way = self.lock();
        let flight = on_their_way
            .entry(key.to_owned())
            .or_insert_with(|| Flight {
                landed: Arc::default(),
                passengers: 0,
            });
        flight.passengers += 1;
        Seat {
            flights: self,
            key: key.to_owned(),
            landed: Arc::clone(&flight.landed),
        }
    }
}

impl<T> Flights<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Flight<T>>> {
        self.on_their_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct Seat<'a, T> {
    flights: &'a Flights<T>,
    key: String,
    landed: Arc<OnceCell<T>>,
}

/// Who asks after the landing flies anew; a flight without passengers is given up.
impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut on_their_way = self.flights.lock();
        let Some(flight) = on_their_way.get_mut(&self.key) else {
            return;
        };
        if !Arc::ptr_eq(&flight.landed, &self.landed) {
            return;
        }
        flight.passengers -= 1;
        if flight.passengers == 0 || self.landed.initialized() {
            on_their_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_thousand_share_one_flight() {
        let flights = Flights::default();
        let (flown, open) = (AtomicUsize::new(0), Notify::new());
        let fly = |number| {
            let (flown, open) = (&flown, &open);
            async move {
                flown.fetch_add(1, Ordering::Relaxed);
                open.notified().await;
                number
            }
        };
        let all = join_all((0..1000).map(|number| flights.join("k", fly(number))));
        let (landed, ()) = futures::join!(all, async { open.notify_one() });
        assert_eq!(flown.into_inner(), 1);
        assert!(landed.iter().all(|number| *number == landed[0]));
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn who_flies_alone_is_given_no_copy() {
        struct Landed(Arc<AtomicUsize>);
        impl Clone for Landed {
            fn clone(&self) -> Self {
                self.0.fetch_add(1, Ordering::Relaxed);
                Self(Arc::clone(&self.0))
            }
        }
        let copies = Arc::new(AtomicUsize::new(0));
        let flights = Flights::default();
        let fly = async || {
            tokio::task::yield_now().await;
            Landed(Arc::clone(&copies))
        };
        flights.join("k", fly()).await;
        assert_eq!(copies.load(Ordering::Relaxed), 0);
        futures::join!(flights.join("k", fly()), flights.join("k", fly()));
        assert_eq!(copies.load(Ordering::Relaxed), 1);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn another_takes_over_from_one_that_is_dropped() {
        let flights = Flights::default();
        let mut first = Box::pin(flights.join("k", std::future::pending()));
        assert!(futures::poll!(&mut first).is_pending());
        let mut second = Box::pin(flights.join("k", async { 2 }));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await, 2);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn who_comes_later_flies_anew() {
        let flights = Flights::default();
        assert_eq!(flights.join("k", async { 1 }).await, 1);
        assert_eq!(flights.join("k", async { 2 }).await, 2);
    }

    #[tokio::test]
    async fn a_flight_without_passengers_is_given_up() {
        let flights = Flights::<()>::default();
        let mut alone = Box::pin(flights.join("k", std::future::pending()));
        assert!(futures::poll!(&mut alone).is_pending());
        drop(alone);
        assert!(flights.lock().is_empty());
    }
}
