//! Durable events, each handled at least once.

mod acknowledgments;
mod feed;
mod gauge;
mod keeper;
mod lanes;
mod reads;
mod tally;
mod worker;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::group::Group;
use super::{ConsumerOptions, durable, specs};
use crate::connection::Connection;
use crate::contract::ChannelSpec;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::metrics::Metrics;
use acknowledgments::Acknowledgments;
use feed::Feed;
use lanes::Lanes;
use tally::Tally;
use worker::Worker;

/// What is done with an event; the kind of a failure, never its text, which may hold what the event holds.
type Handler = Arc<dyn Fn(Event) -> BoxFuture<'static, Result<(), &'static str>> + Send + Sync>;

/// Events of one key are handled one after the other.
type KeyOf = Arc<dyn Fn(&Event) -> String + Send + Sync>;

/// One consumer of the service's group; from [`EventBus::consumer`](super::EventBus::consumer).
///
/// Events of a channel are handled one after the other in their order, as far as this consumer gets them. With
/// [`Consumer::concurrency`] and [`Consumer::ordered_by`] those of different keys are handled at the same time, and only those of one
/// key one after the other. Between several consumers, such as a service's pods, there is no order.
///
/// An event is acknowledged after its handler returned, so it is handled again where the process dies in between: handlers have to bear
/// that, for example by [`Event::event_id`].
///
/// A handler that fails, or panics, is tried again after a pause, and later events of its key wait meanwhile; after the last attempt its
/// event becomes a dead letter, in one step with its acknowledgment. What a consumer that died was handed out is taken over by others.
///
/// While the contract has events switched off no handler begins, nor another attempt, and nothing more is acknowledged: the group keeps
/// it all, and the consumer goes on where it was once they are on. A handler that is under way ends, and its event is acknowledged where
/// it succeeds; where it emits, it may fail for an [`Outcome::Disabled`](super::Outcome::Disabled), and is tried again then.
///
/// ```no_run
/// # async fn example(bus: cachebus::CacheBus) -> cachebus::Result<()> {
/// let consumer = bus.events().consumer().on("task:completed", |event| async move {
///     println!("{}", event.event_id);
///     Ok::<_, std::io::Error>(())
/// })?;
/// let stopper = consumer.stopper();
/// tokio::spawn(async move {
///     tokio::signal::ctrl_c().await.ok();
///     stopper.stop();
/// });
/// consumer.run().await
/// # }
/// ```
#[must_use = "it consumes nothing before `run`"]
pub struct Consumer {
    connection: Connection,
    metrics: Arc<dyn Metrics>,
    options: ConsumerOptions,
    concurrency: usize,
    key_of: KeyOf,
    channels: Vec<ChannelSpec>,
    handlers: Vec<Handler>,
    stopped: CancellationToken,
}

impl Consumer {
    pub(super) fn new(connection: Connection, metrics: Arc<dyn Metrics>) -> Self {
        Self {
            connection,
            metrics,
            options: ConsumerOptions::default(),
            concurrency: 1,
            key_of: Arc::new(|event| event.channel.clone()),
            channels: Vec::new(),
            handlers: Vec::new(),
            stopped: CancellationToken::new(),
        }
    }

    /// How it consumes.
    pub fn options(mut self, options: ConsumerOptions) -> Self {
        self.options = options;
        self
    }

    /// So many events are handled at the same time, each in a task of its own. Default 1.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers.max(1);
        self
    }

    /// Events of one key are handled one after the other, whatever their channel; those of a channel in its order. Default: the channel
    /// itself.
    ///
    /// ```no_run
    /// # #[derive(serde::Deserialize)]
    /// # struct Task { id: u64 }
    /// # async fn example(bus: cachebus::CacheBus) -> cachebus::Result<()> {
    /// let consumer = bus.events().consumer().concurrency(8).ordered_by(|event| {
    ///     let task = event.data::<Task>();
    ///     task.map_or_else(|_| event.channel.clone(), |task| task.id.to_string())
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn ordered_by(mut self, key: impl Fn(&Event) -> String + Send + Sync + 'static) -> Self {
        self.key_of = Arc::new(key);
        self
    }

    /// What to do with the events of a name, a channel or a group of them; of two handlers for a channel the later one is called.
    /// [`Error::Contract`] where the service does not subscribe to them, or one of them is not durable.
    pub fn on<F, E>(
        mut self,
        name: &str,
        handler: impl Fn(Event) -> F + Send + Sync + 'static,
    ) -> Result<Self>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |event| {
            AssertUnwindSafe(handler(event))
                .catch_unwind()
                .map(|handled| match handled {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(std::any::type_name::<E>()),
                    Err(_) => Err("panic"),
                })
                .boxed()
        });
        for spec in specs(&self.connection.contract(), name)? {
            let spec = durable(spec)?;
            if let Some(known) = self.channels.iter().position(|known| *known == spec) {
                self.handlers[known] = Arc::clone(&handler);
            } else {
                self.channels.push(spec);
                self.handlers.push(Arc::clone(&handler));
            }
        }
        Ok(self)
    }

    /// Ends [`Consumer::run`] from elsewhere.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stopped.clone())
    }

    /// Handles events until it is stopped. A bus that is away is waited for; what waiting does not mend, such as [`Error::Denied`], is
    /// returned. Dropped, it stops at once: what is being handled is handled again, by another or later.
    pub async fn run(self) -> Result<()> {
        if self.channels.is_empty() {
            return Err(Error::Contract("there is no handler".to_owned()));
        }
        let most = self.options.batch.saturating_mul(self.concurrency).max(1);
        let lanes = Arc::new(Lanes::new(self.concurrency, most));
        let group = Arc::new(Group::new(self.connection, self.channels, self.options));
        let tally = Arc::new(Tally::new(Arc::clone(&group), self.metrics));
        let keeper = keeper::keep(Arc::clone(&group), Arc::clone(&lanes));
        let _kept = AbortOnDropHandle::new(tokio::spawn(keeper));
        let gauge = gauge::measure(Arc::clone(&group), Arc::clone(&tally));
        let _measured = AbortOnDropHandle::new(tokio::spawn(gauge));
        let worker = Worker {
            group: Arc::clone(&group),
            lanes: Arc::clone(&lanes),
            handlers: self.handlers.into(),
            acknowledgments: Arc::new(Acknowledgments::new(&group)),
            tally: Arc::clone(&tally),
            stopped: self.stopped.clone(),
        };
        let mut workers = JoinSet::new();
        for _ in 0..self.concurrency {
            workers.spawn(worker.clone().run());
        }
        let feed = Feed::new(
            Arc::clone(&group),
            Arc::clone(&lanes),
            self.key_of,
            tally,
            self.stopped.clone(),
        );
        let mut ended = feed.run().await;
        self.stopped.cancel();
        for worked in workers.join_all().await {
            ended = ended.and(worked);
        }
        keeper::give_back(&group, &lanes).await;
        ended
    }
}

/// Ends a consumer, or the relay of an outbox; from [`Consumer::stopper`].
#[derive(Clone, Debug)]
pub struct Stopper(pub(super) CancellationToken);

impl Stopper {
    /// Ends it after the events that are being handled, or emitted, within [`ConsumerOptions::block`] and the handlers' time. Others that were fetched
    /// already are given back, and so is one whose handler waits for its next attempt.
    pub fn stop(&self) {
        self.0.cancel();
    }
}
