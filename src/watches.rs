//! What the operator knows of the cluster without asking: one watch for each kind, of its own objects only.

#[cfg(test)]
mod by_hand;

#[cfg(test)]
pub use by_hand::Filler;

use crate::error::brief;
use crate::partial::{PartialClaim, PartialPod, PartialStatefulSet};
use crate::readiness::Readiness;
use cachebus_api::{CacheBus, CacheBusBackup};
use cachebus_core::names::{
    AWAITS_ANNOTATION, BUS_LABEL, FLUSH_ANNOTATION, MANAGER, SWITCHOVER_ANNOTATION,
};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::PartialObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::{BuildHasher as _, DefaultHasher, Hash, Hasher as _, RandomState};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// A bus as it is watched: one that cannot be decoded is an error on that object alone.
pub type WatchedBus = DeserializeGuard<CacheBus>;
/// A backup, likewise.
pub type WatchedBackup = DeserializeGuard<CacheBusBackup>;

/// Objects of a page of the first list. A small page keeps the peak of memory low.
const PAGE_SIZE: u32 = 50;
/// Seconds after which a watch is renewed at the earliest, and twice as many at the latest. Each renewal is a read of the
/// API server, and leader and followers have one watch for each kind: spread, they do not come all at once. One that has
/// died without a word is noticed no earlier.
const RENEWAL_S: u32 = 600;

/// What is known of the cluster. All but buses, backups and the claims of pods carry [`MANAGER`]'s label.
#[derive(Clone)]
pub struct Stores {
    /// The buses.
    pub buses: Store<WatchedBus>,
    /// Their backups.
    pub backups: Store<WatchedBackup>,
    /// Secrets.
    pub secrets: Store<Secret>,
    /// Pods.
    pub pods: Store<PartialPod>,
    /// StatefulSets.
    pub stateful_sets: Store<PartialStatefulSet>,
    /// `PersistentVolumeClaims` of pods of buses.
    pub claims: Store<PartialClaim>,
    /// Services.
    pub services: Store<PartialObjectMeta<Service>>,
    /// ConfigMaps.
    pub config_maps: Store<PartialObjectMeta<ConfigMap>>,
    /// ServiceAccounts.
    pub service_accounts: Store<PartialObjectMeta<ServiceAccount>>,
    /// PodDisruptionBudgets.
    pub disruption_budgets: Store<PartialObjectMeta<PodDisruptionBudget>>,
    /// NetworkPolicies.
    pub network_policies: Store<PartialObjectMeta<NetworkPolicy>>,
    /// EndpointSlices.
    pub endpoint_slices: Store<PartialObjectMeta<EndpointSlice>>,
    empty: watch::Receiver<usize>,
}

impl Stores {
    /// Starts to watch a namespace, or all of them. The stores fill at once; passes are asked for once the triggers are
    /// [open](Triggers::open).
    pub fn watch(
        client: &Client,
        namespace: Option<&str>,
        readiness: &Readiness,
    ) -> (Self, Triggers) {
        let triggers = Triggers::default();
        let (filling, empty) = watch::channel(0);
        let watches = Watches {
            client,
            namespace,
            readiness,
            triggers: &triggers,
            filling: &filling,
        };
        let stores = Self {
            buses: watches.buses(),
            backups: watches.watch_all(
                "cachebusbackups.cachebus.dev (is the CRD installed?)",
                config(),
                bus_of_backup,
            ),
            secrets: watches.watch("secrets"),
            pods: watches.watch("pods"),
            stateful_sets: watches.watch("statefulsets"),
            claims: watches.watch_all("persistentvolumeclaims", of_pods(), bus_of),
            services: watches.watch("services"),
            config_maps: watches.watch("configmaps"),
            service_accounts: watches.watch("serviceaccounts"),
            disruption_budgets: watches.watch("poddisruptionbudgets"),
            network_policies: watches.watch("networkpolicies"),
            endpoint_slices: watches.watch("endpointslices"),
            empty,
        };
        (stores, triggers)
    }
}

impl Stores {
    /// Returns when every store has been filled for the first time. `false`: it will never be.
    ///
    /// A store's own `wait_until_ready` wakes only the last of those who wait for it.
    pub async fn filled(&self) -> bool {
        let mut empty = self.empty.clone();
        empty.wait_for(|stores| *stores == 0).await.is_ok()
    }
}

/// Where watches and polls ask for a pass over a bus. Closed until this process leads: a follower only keeps its stores.
#[derive(Clone, Default)]
pub struct Triggers(Arc<OnceLock<UnboundedSender<ObjectRef<WatchedBus>>>>);

impl Triggers {
    /// Lets requests through from now on.
    pub fn open(&self) -> UnboundedReceiver<ObjectRef<WatchedBus>> {
        let (sender, receiver) = unbounded();
        // Opened a second time it stays with the first, and the second never yields.
        let _ = self.0.set(sender);
        receiver
    }

    /// Asks for a pass over a bus.
    pub fn request(&self, bus: ObjectRef<WatchedBus>) {
        if let Some(sender) = self.0.get() {
            // The receiver is gone at shutdown, when nothing is to be done any more.
            let _ = sender.unbounded_send(bus);
        }
    }
}

struct Watches<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    readiness: &'a Readiness,
    triggers: &'a Triggers,
    /// Number of stores that are still empty.
    filling: &'a watch::Sender<usize>,
}

impl Watches<'_> {
    fn buses(&self) -> Store<WatchedBus> {
        let writer = Writer::new(());
        let store = writer.as_reader();
        let events = watcher(self.api::<WatchedBus>(), config()).default_backoff();
        let changes = changes_of_buses(events, writer);
        self.run(
            "cachebuses.cachebus.dev (is the CRD installed?)",
            store.clone(),
            changes,
            |bus| Some(ObjectRef::from_obj(bus)),
        );
        store
    }

    fn watch<K>(&self, resource: &'static str) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        self.watch_all(resource, ours(), bus_of)
    }

    fn watch_all<K>(
        &self,
        resource: &'static str,
        which: watcher::Config,
        bus: fn(&K) -> Option<ObjectRef<WatchedBus>>,
    ) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let writer = Writer::new(());
        let store = writer.as_reader();
        let changes = watcher(self.api::<K>(), which)
            .default_backoff()
            .modify(strip)
            .reflect(writer)
            .touched_objects();
        self.run(resource, store.clone(), changes, bus);
        store
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn run<K>(
        &self,
        resource: &str,
        store: Store<K>,
        changes: impl Stream<Item = watcher::Result<K>> + Send + 'static,
        bus: impl Fn(&K) -> Option<ObjectRef<WatchedBus>> + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    {
        let what = match self.namespace {
            Some(namespace) => format!("the first list of {resource} in {namespace}"),
            None => format!("the first list of {resource}"),
        };
        self.readiness.wait_for(&what);
        let readiness = self.readiness.clone();
        let awaited = what.clone();
        let filling = self.filling.clone();
        filling.send_modify(|stores| *stores += 1);
        tokio::spawn(async move {
            if store.wait_until_ready().await.is_ok() {
                readiness.done(&awaited);
                filling.send_modify(|stores| *stores -= 1);
            }
        });
        let triggers = self.triggers.clone();
        tokio::spawn(async move {
            let mut changes = pin!(changes);
            while let Some(change) = changes.next().await {
                match change {
                    Ok(object) => {
                        if let Some(bus) = bus(&object) {
                            triggers.request(bus);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(error = brief(&error), watch = what, "watch interrupted");
                    }
                }
            }
        });
    }
}

/// Keeps buses in the store of `writer`. Yields those of which a pass may make something else than before: their spec changed, or
/// they came or went.
fn changes_of_buses(
    events: impl Stream<Item = watcher::Result<watcher::Event<WatchedBus>>> + Send + 'static,
    writer: Writer<WatchedBus>,
) -> impl Stream<Item = watcher::Result<WatchedBus>> + Send + 'static {
    events
        .modify(strip)
        .reflect(writer)
        .map_ok(mark)
        .touched_objects()
        .predicate_filter(
            predicates::generation
                .combine(identity_and_requests)
                .combine(deletion),
            PredicateConfig::default(),
        )
}

/// Marks what is gone: it looks as it did when it was there, at most as one that is being deleted.
fn mark(mut event: watcher::Event<WatchedBus>) -> watcher::Event<WatchedBus> {
    if let watcher::Event::Delete(bus) = &mut event {
        bus.meta_mut().deletion_timestamp = Some(Time(Timestamp::MAX));
    }
    event
}

/// A selector of what the operator made, and pods that were made from it.
fn ours() -> watcher::Config {
    config().labels(&format!("app.kubernetes.io/managed-by={MANAGER}"))
}

/// A selector of the claims that StatefulSets made: these give them the labels by which they select their pods.
fn of_pods() -> watcher::Config {
    config().labels(BUS_LABEL)
}

fn config() -> watcher::Config {
    watcher::Config::default()
        .page_size(PAGE_SIZE)
        .timeout(RENEWAL_S + spread(RENEWAL_S))
}

/// Below `limit`, another one each time: from the seed that the standard library draws for a hasher.
fn spread(limit: u32) -> u32 {
    let drawn = RandomState::new().hash_one(limit) % u64::from(limit);
    u32::try_from(drawn).unwrap_or_default()
}

/// The annotations that somebody reads.
const READ: [&str; 3] = [SWITCHOVER_ANNOTATION, FLUSH_ANNOTATION, AWAITS_ANNOTATION];

/// Drops what nobody reads and what is large.
fn strip<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.retain(|name, _| READ.contains(&name.as_str()));
    }
}

/// What a person asks of a bus by an annotation.
pub fn request<'a, K: Resource>(bus: &'a K, annotation: &str) -> Option<&'a str> {
    let asked = bus.annotations().get(annotation)?;
    Some(asked)
}

/// Two objects of the same name, one after the other, are two, even at the same generation; and what is asked of a bus by an
/// annotation leaves its generation alone.
fn identity_and_requests<K: Resource>(object: &K) -> Option<u64> {
    let uid = object.meta().uid.as_ref()?;
    let requests = [SWITCHOVER_ANNOTATION, FLUSH_ANNOTATION].map(|asks| request(object, asks));
    Some(hash(&(uid, requests)))
}

/// Whether an object is being deleted, or gone.
fn deletion<K: Resource>(object: &K) -> Option<u64> {
    let at = object.meta().deletion_timestamp.as_ref()?;
    Some(hash(&at.0))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The bus that a backup is of.
fn bus_of_backup(backup: &WatchedBackup) -> Option<ObjectRef<WatchedBus>> {
    let readable = backup.0.as_ref().ok()?;
    Some(ObjectRef::new(&readable.spec.bus).within(&readable.namespace()?))
}

/// The bus that an object belongs to, by its label.
fn bus_of<K: Resource>(object: &K) -> Option<ObjectRef<WatchedBus>> {
    let name = object.labels().get(BUS_LABEL)?;
    Some(ObjectRef::new(name).within(&object.namespace()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Time, Timestamp, WatchedBus, changes_of_buses};
    use crate::testing::manifest;
    use futures::{StreamExt as _, TryStreamExt as _, stream};
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use kube::{Resource as _, ResourceExt as _};
    use serde_json::json;

    fn bus(name: &str, uid: &str, generation: i64, version: &str) -> WatchedBus {
        let mut object = manifest(name);
        object["metadata"]["uid"] = json!(uid);
        object["metadata"]["generation"] = json!(generation);
        object["metadata"]["resourceVersion"] = json!(version);
        serde_json::from_value(object).unwrap()
    }

    /// A bus that waits for what others do before it goes.
    fn deleting(mut bus: WatchedBus) -> WatchedBus {
        let since = Time(Timestamp::UNIX_EPOCH);
        bus.meta_mut().deletion_timestamp = Some(since);
        bus
    }

    #[tokio::test]
    async fn passes_are_asked_for_when_a_bus_comes_when_its_spec_changes_and_when_it_goes() {
        let events = vec![
            Event::Init,
            Event::InitApply(bus("a", "1", 1, "1")),
            Event::InitDone,
            Event::Apply(bus("b", "2", 1, "2")),
            // Their status alone.
            Event::Apply(bus("a", "1", 1, "3")),
            Event::Apply(bus("b", "2", 1, "4")),
            Event::Apply(bus("b", "2", 2, "5")),
            Event::Delete(bus("a", "1", 1, "3")),
            Event::Apply(bus("a", "3", 1, "6")),
            Event::Apply(deleting(bus("b", "2", 2, "7"))),
            Event::Delete(deleting(bus("b", "2", 2, "8"))),
        ];
        let changes = changes_of_buses(stream::iter(events).map(Ok), Writer::new(()));
        let changes: Vec<WatchedBus> = Box::pin(changes.try_collect()).await.unwrap();
        let versions: Vec<_> = changes
            .iter()
            .map(|bus| bus.resource_version().unwrap())
            .collect();
        assert_eq!(versions, ["1", "2", "5", "3", "6", "7", "8"]);
    }
}
