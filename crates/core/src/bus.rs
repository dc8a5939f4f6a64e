//! A validated bus: what the spec says, with every default and derived value in place.

use crate::engine::Capabilities;
use crate::names::Names;
use cachebus_api::CacheBusSpec;
use cachebus_api::status::{Electorate, Topology};
use std::collections::BTreeMap;

/// What the operator was told of the cluster and of itself at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// DNS domain of the cluster, `cluster.local`.
    pub domain: String,
    /// Image that holds the agent (the operator's own).
    pub agent_image: String,
    /// Pull policy of the agent's image, as Kubernetes spells it; empty: Kubernetes' own rule.
    pub agent_pull_policy: String,
    /// Engine images by `<kind>-<version>` in lower case (`redis-8.0`, `valkey-9.1`).
    pub engine_images: BTreeMap<String, String>,
    /// Namespace in which the operator runs; NetworkPolicies let its pods in.
    pub operator_namespace: String,
}

/// A validated bus.
#[derive(Clone, Debug)]
pub struct Bus {
    /// Its names.
    pub names: Names,
    /// UID of the object.
    pub uid: String,
    /// Generation of the object.
    pub generation: i64,
    /// The spec as the API server completed it.
    pub spec: CacheBusSpec,
    /// What the engine of this version can do or, where an older one runs as well, what that can do.
    pub engine: &'static Capabilities,
    /// Image that holds the engine.
    pub image: String,
    /// Data pods that there are to be now besides the primary: while a bus that shrinks keeps its primary's pod, those below it too.
    pub replicas: u32,
    /// The Sentinels as they are to be now. Their number changes one at a time, see [`Bus::of_record`].
    pub electorate: Electorate,
}

/// Something in the spec that CEL cannot say and that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, `spec.config.bind`.
    pub path: String,
    /// Stable, one word.
    pub reason: &'static str,
    /// For people: what is wrong and what would be right.
    pub message: String,
}

impl Bus {
    /// The same bus, for servers of this line.
    #[must_use]
    pub fn for_engine(&self, engine: &'static Capabilities) -> Self {
        Self {
            engine,
            ..self.clone()
        }
    }

    /// How many data pods there are to be while this one has to stay, for it leads. A StatefulSet takes pods away from the highest
    /// ordinal down, and never the primary: a bus that shrinks keeps the pods up to it until another leads.
    #[must_use]
    pub fn data_pods(&self, kept: Option<&str>) -> u32 {
        let kept = kept.and_then(|pod| self.names.data_ordinal(pod));
        let kept = kept.map_or(0, |ordinal| ordinal.saturating_add(1));
        kept.max(1 + self.spec.replicas)
    }

    /// The same bus with the pods that the record asks for.
    #[must_use]
    pub fn of_record(&self, topology: Option<&Topology>) -> Self {
        let recorded = topology.and_then(|topology| topology.sentinels);
        let primary = topology.and_then(|topology| topology.primary.as_deref());
        Self {
            replicas: self.data_pods(primary) - 1,
            electorate: recorded.unwrap_or_else(|| electorate(&self.spec)),
            ..self.clone()
        }
    }

    /// `min-replicas-to-write`, see [`CacheBusSpec::min_replicas_to_write`].
    #[must_use]
    pub fn min_replicas_to_write(&self) -> u32 {
        self.spec.min_replicas_to_write()
    }
}

/// The Sentinels of a spec, where no change of their number is under way.
#[must_use]
pub fn electorate(spec: &CacheBusSpec) -> Electorate {
    Electorate {
        members: spec.sentinel.replicas,
        pods: spec.sentinel.replicas,
    }
}
