//! Durable events, each handled at least once.

mod held;
mod work;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::streams::Streams;
use super::{ConsumerOptions, durable, specs};
use crate::connection::Connection;
use crate::contract::ChannelSpec;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::metrics::Metrics;
use work::Work;

/// What is done with an event; the kind of a failure, never its text, which may hold what the event holds.
type Handler = Arc<dyn Fn(Event) -> BoxFuture<'static, Result<(), &'static str>> + Send + Sync>;

/// One consumer of the service's group; from [`EventBus::consumer`](super::EventBus::consumer).
///
/// Events of a channel are handled one after the other in their order, as far as this consumer gets them: run several for more at once,
/// and the order between those is lost. An event is acknowledged after its handler returned, so it is handled again where the process
/// dies in between: handlers have to bear that, for example by [`Event::event_id`].
///
/// A handler that fails, or panics, is tried again after a pause; after the last attempt its event becomes a dead letter, in one step
/// with its acknowledgment. What a consumer that died was handed out is taken over by others.
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
        let streams = Streams::new(self.connection, self.channels, self.options.clone());
        Work::new(
            streams,
            self.handlers,
            self.options,
            self.metrics,
            self.stopped,
        )
        .run()
        .await
    }
}

/// Ends a consumer; from [`Consumer::stopper`].
#[derive(Clone, Debug)]
pub struct Stopper(CancellationToken);

impl Stopper {
    /// Ends it after the event that is being handled, within [`ConsumerOptions::block`] and the handler's time. Others that were
    /// fetched already are given back.
    pub fn stop(&self) {
        self.0.cancel();
    }
}
