//! Connections that calls share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::link::Link;
use super::primary::Primary;
use crate::error::{Error, Result};

/// How long a connection of a former binding goes on where the new one does not work yet.
const GRACE: Duration = Duration::from_secs(1);

/// A number of connections, opened when they are needed and used in turn.
pub(super) struct Lane {
    primary: Arc<Primary>,
    places: Vec<Mutex<Place>>,
    next: AtomicUsize,
}

#[derive(Default)]
struct Place {
    link: Option<Arc<Link>>,
    failure: Option<(Instant, Error)>,
    /// The link is of a former binding, and the new one did not work: it is tried again then.
    grace_until: Option<Instant>,
}

impl Lane {
    pub(super) fn new(primary: Arc<Primary>, size: usize) -> Self {
        Self {
            primary,
            places: (0..size.max(1)).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// A connection to the primary. Waits where one is just being opened.
    pub(super) async fn take(&self) -> Result<Arc<Link>> {
        let asked = Instant::now();
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.places.len();
        let mut place = self.places[turn].lock().await;
        let now = self.primary.generation();
        let open = place.link.clone().filter(|link| link.is_open());
        if let Some(link) = &open
            && (link.generation() == now
                || (link.generation().moves == now.moves && place.in_grace()))
        {
            return Ok(Arc::clone(link));
        }
        if let Some((when, failure)) = &place.failure
            && *when > asked
        {
            // It failed while this call waited for it.
            return Err(failure.clone());
        }
        let connected = async {
            let (stream, generation) = self.primary.connect().await?;
            Link::on(stream, generation).await.map(Arc::new)
        };
        match connected.await {
            Ok(link) => {
                *place = Place {
                    link: Some(Arc::clone(&link)),
                    ..Place::default()
                };
                Ok(link)
            }
            Err(error) => {
                let failed = Instant::now();
                if let Some(link) = open
                    && link.generation().binding != now.binding
                    && link.generation().moves == now.moves
                {
                    tracing::warn!(%error, "the new binding does not work yet; a connection of the last one stays in use");
                    place.grace_until = Some(failed + GRACE);
                    return Ok(link);
                }
                place.failure = Some((failed, error.clone()));
                Err(error)
            }
        }
    }
}

impl Place {
    fn in_grace(&self) -> bool {
        self.grace_until.is_some_and(|until| Instant::now() < until)
    }
}
