//! A world in which passes over buses are made one by one.

use super::{Api, manifest, platform};
use crate::agents::Agents;
use crate::context::Context;
use crate::controllers::cachebus::{Next, pass, reconcile};
use crate::error::Error;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::polls::Polls;
use crate::watches::{Filler, Stores, Triggers, WatchedBus};
use cachebus_core::bus::Platform;
use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedReceiver;
use kube::runtime::controller::Action;
use kube::runtime::events::Reporter;
use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// An API server, and an operator whose stores are filled when the test says so.
pub struct World {
    /// The API server.
    pub api: Api,
    /// What passes work with.
    pub context: Arc<Context>,
    filler: Filler,
    requests: UnboundedReceiver<ObjectRef<WatchedBus>>,
}

impl World {
    /// A world with one bus, `b`.
    pub fn with_bus() -> Self {
        let world = Self::on(Api::default());
        world.api.put(
            "/apis/cachebus.dev/v1alpha1/namespaces/data/cachebuses/b",
            manifest("b"),
        );
        world
    }

    /// An operator that has just started, on an API server that is there already.
    pub fn on(api: Api) -> Self {
        Self::told(api, platform())
    }

    /// The same, told this at its start.
    pub fn told(api: Api, platform: Platform) -> Self {
        // A second test of the same process finds it installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (stores, filler) = Stores::by_hand();
        let metrics = Metrics::new();
        let triggers = Triggers::default();
        let requests = triggers.open();
        let reporter = Reporter {
            controller: "cachebus".to_owned(),
            instance: None,
        };
        let context = Context {
            client: api.client(),
            stores,
            agents: Agents::new(metrics.clone()),
            polls: Polls::new(triggers),
            platform,
            memory: Memory::default(),
            reporter,
            metrics,
        };
        Self {
            api,
            context: Arc::new(context),
            filler,
            requests,
        }
    }

    /// Forgets the passes that were asked for so far, and returns their number.
    pub fn requests(&mut self) -> usize {
        std::iter::from_fn(|| self.requests.try_recv().ok()).count()
    }

    /// Returns when a pass over the bus `b` is asked for.
    pub async fn requested(&mut self) {
        let request = tokio::time::timeout(Duration::from_secs(10), self.requests.next());
        assert_eq!(request.await.unwrap().unwrap(), key());
    }

    /// Lets the stores see what the API server holds by now.
    pub fn see(&mut self) {
        self.filler.fill(&self.api);
    }

    /// The same, but for buses.
    pub fn see_but_buses(&mut self) {
        self.filler.fill_but_buses(&self.api);
    }

    /// A pass over the bus `b` as the controller makes it, which minds what the ones before came to.
    pub async fn paced_pass(&self) -> Result<Action, Error> {
        let bus = self.context.stores.buses.get(&key()).unwrap();
        pass(bus, Arc::clone(&self.context)).await
    }

    /// A pass over the bus `b`, as the stores show it.
    pub async fn pass(&self) -> Result<Next, Error> {
        let bus = self.context.stores.buses.get(&key()).unwrap();
        Box::pin(reconcile(&bus, &self.context)).await
    }

    /// Passes, each on what the one before left behind, until one writes nothing.
    pub async fn settle(&mut self) {
        for _ in 0..10 {
            self.see();
            self.pass().await.unwrap();
            if self.api.writes().is_empty() {
                return;
            }
        }
        panic!("passes go on writing");
    }

    /// Passes, each on what the one before left behind, until one finds nothing that moves.
    pub async fn rest(&mut self) {
        for _ in 0..30 {
            self.see();
            if self.pass().await.unwrap() == Next::Later {
                return;
            }
        }
        panic!("the bus does not come to rest");
    }

    /// The condition of the bus of a type.
    pub fn condition(&self, type_: &str) -> Value {
        let bus = self.api.get("cachebuses", "b").unwrap();
        let conditions = bus["status"]["conditions"].as_array().unwrap().clone();
        let mut conditions = conditions.into_iter();
        conditions
            .find(|condition| condition["type"] == type_)
            .unwrap()
    }
}

/// The bus `b`.
pub fn key() -> ObjectRef<WatchedBus> {
    ObjectRef::new("b").within("data")
}
