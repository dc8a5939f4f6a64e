//! Every object of a bus: [`render`].

mod backup;
mod config_map;
mod container;
mod disruption;
mod endpoints;
mod identity;
mod meta;
mod network;
mod placement;
mod pod;
mod resources;
pub mod secrets;
mod services;
mod volumes;
mod workload;

pub use backup::{BACKUP, Place, backup_pod, restore_claim, restore_pod};
pub use meta::second_owner;
pub(crate) use resources::memory_limit_of_data_nodes;
pub(crate) use volumes::wanted_claim;

use crate::acl::AclFiles;
use crate::bus::{Bus, Platform};
use crate::credentials::Credentials;
use crate::names::Component::{self, Redis, Sentinel};
use crate::observed::SetView;
use crate::tls::Certificates;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use std::collections::{BTreeMap, BTreeSet};

/// Every object of a bus but the two Secrets that are created once and then kept ([`secrets::credentials`] and
/// [`secrets::authority`]). No `Debug`: it holds secrets.
#[derive(Clone, PartialEq)]
pub struct Rendered {
    /// What agents and servers are told, without secrets.
    pub config: ConfigMap,
    /// The spec that these objects are made from, for a time when there is no valid one.
    pub last_valid: ConfigMap,
    /// Internal passwords that data pods mount.
    pub redis_auth: Secret,
    /// Internal passwords that Sentinel pods mount.
    pub sentinel_auth: Secret,
    /// The users of data nodes and Sentinels, hashes only.
    pub acl: Secret,
    /// What every pod serves with.
    pub serving_certificate: Secret,
    /// What the operator connects to agents with.
    pub operator_certificate: Secret,
    /// The Secret of each service, by the service's name.
    pub bindings: BTreeMap<String, Secret>,
    /// Identity of the data pods, without rights.
    pub redis_account: ServiceAccount,
    /// Identity of the Sentinel pods, without rights.
    pub sentinel_account: ServiceAccount,
    /// Identity of the pods that make and restore backups, without rights.
    pub backup_account: ServiceAccount,
    /// Who reaches the data pods, and whom they reach.
    pub redis_network: NetworkPolicy,
    /// Who reaches the Sentinel pods, and whom they reach.
    pub sentinel_network: NetworkPolicy,
    /// Who reaches the pods that make and restore backups, and whom they reach.
    pub backup_network: NetworkPolicy,
    /// DNS names of the data pods.
    pub redis_nodes: Service,
    /// DNS names of the Sentinel pods.
    pub sentinel_nodes: Service,
    /// Leads to the primary.
    pub primary: Service,
    /// Leads to the replicas.
    pub replicas: Service,
    /// Leads to the Sentinels.
    pub sentinels: Service,
    /// Where [`Self::primary`] leads. `None`: where it has led.
    pub primary_endpoints: Option<EndpointSlice>,
    /// Where [`Self::replicas`] leads.
    pub replicas_endpoints: EndpointSlice,
    /// The data pods.
    pub redis: StatefulSet,
    /// The Sentinel pods.
    pub sentinel: StatefulSet,
    /// Data pods go one at a time.
    pub redis_budget: PodDisruptionBudget,
    /// Sentinel pods likewise.
    pub sentinel_budget: PodDisruptionBudget,
}

/// What a bus's objects are made of besides its spec.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The users' passwords.
    pub credentials: &'a Credentials,
    /// The bus's certificates.
    pub certificates: &'a Certificates,
    /// The users' rights.
    pub acl: &'a AclFiles,
    /// A data pod that must not go, see [`crate::plan::kept`].
    pub kept: Option<&'a str>,
    /// Where the Services lead.
    pub routes: &'a Routes,
    /// Components that are to have no pods, see [`crate::plan::asleep`].
    pub asleep: &'a BTreeSet<Component>,
    /// The StatefulSets that exist already. Kubernetes refuses any change of a claim template, so theirs is rendered as it is.
    pub sets: &'a BTreeMap<Component, SetView>,
}

/// Where the Services of a bus lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// The primary, where there is one.
    pub primary: Option<Endpoint>,
    /// There is none, and the way to the one before stays as it is: another is about to be named.
    pub stays: bool,
    /// The replicas.
    pub replicas: Vec<Endpoint>,
}

/// A data pod to which a Service leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the pod.
    pub pod: String,
    /// Its IPv4 address.
    pub ip: String,
    /// Node that it runs on.
    pub node: Option<String>,
    /// Whether connections are to go there.
    pub ready: bool,
}

/// Every object of a bus. The same arguments give the same objects.
#[must_use]
pub fn render(bus: &Bus, platform: &Platform, inputs: &Inputs<'_>) -> Rendered {
    let Inputs {
        credentials,
        certificates,
        acl,
        kept,
        routes,
        asleep,
        sets,
    } = inputs;
    let awake = |component, pods| if asleep.contains(&component) { 0 } else { pods };
    let claim = |component| match sets.get(&component) {
        Some(set) => set.claim.clone(),
        None => wanted_claim(bus, component),
    };
    Rendered {
        config: config_map::config(bus),
        last_valid: config_map::last_valid(bus),
        redis_auth: secrets::auth(bus, Redis, credentials),
        sentinel_auth: secrets::auth(bus, Sentinel, credentials),
        acl: secrets::acl(bus, acl),
        serving_certificate: secrets::serving_certificate(bus, certificates),
        operator_certificate: secrets::operator_certificate(bus, certificates),
        bindings: secrets::bindings(bus, credentials, certificates.authority.certificate()),
        redis_account: identity::account(bus, Redis),
        sentinel_account: identity::account(bus, Sentinel),
        backup_account: backup::account(bus),
        redis_network: network::policy(bus, platform, Redis),
        sentinel_network: network::policy(bus, platform, Sentinel),
        backup_network: backup::policy(bus),
        redis_nodes: services::nodes(bus, Redis),
        sentinel_nodes: services::nodes(bus, Sentinel),
        primary: services::routed(bus, &bus.names.primary_service()),
        replicas: services::routed(bus, &bus.names.replicas_service()),
        sentinels: services::sentinels(bus),
        primary_endpoints: (!routes.stays).then(|| {
            let service = bus.names.primary_service();
            endpoints::slice(bus, &service, routes.primary.as_slice())
        }),
        replicas_endpoints: endpoints::slice(bus, &bus.names.replicas_service(), &routes.replicas),
        redis: workload::stateful_set(
            bus,
            platform,
            Redis,
            awake(Redis, bus.data_pods(*kept)),
            &claim(Redis),
        ),
        sentinel: workload::stateful_set(
            bus,
            platform,
            Sentinel,
            awake(Sentinel, bus.electorate.pods),
            &claim(Sentinel),
        ),
        redis_budget: disruption::budget(bus, Redis),
        sentinel_budget: disruption::budget(bus, Sentinel),
    }
}
