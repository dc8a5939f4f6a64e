//! Stores that a test fills.

#![allow(clippy::unwrap_used)]

use super::{Stores, WatchedBackup, WatchedBus};
use crate::partial::{PartialClaim, PartialPod, PartialStatefulSet};
use crate::testing::Api;
use cachebus_core::names::BUS_LABEL;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

/// The writing ends of the stores.
pub struct Filler {
    buses: Writer<WatchedBus>,
    backups: Writer<WatchedBackup>,
    secrets: Writer<Secret>,
    pods: Writer<PartialPod>,
    stateful_sets: Writer<PartialStatefulSet>,
    claims: Writer<PartialClaim>,
    services: Writer<PartialObjectMeta<Service>>,
    config_maps: Writer<PartialObjectMeta<ConfigMap>>,
    service_accounts: Writer<PartialObjectMeta<ServiceAccount>>,
    disruption_budgets: Writer<PartialObjectMeta<PodDisruptionBudget>>,
    network_policies: Writer<PartialObjectMeta<NetworkPolicy>>,
    endpoint_slices: Writer<PartialObjectMeta<EndpointSlice>>,
}

impl Stores {
    /// Empty stores.
    pub fn by_hand() -> (Self, Filler) {
        let filler = Filler {
            buses: Writer::new(()),
            backups: Writer::new(()),
            secrets: Writer::new(()),
            pods: Writer::new(()),
            stateful_sets: Writer::new(()),
            claims: Writer::new(()),
            services: Writer::new(()),
            config_maps: Writer::new(()),
            service_accounts: Writer::new(()),
            disruption_budgets: Writer::new(()),
            network_policies: Writer::new(()),
            endpoint_slices: Writer::new(()),
        };
        let stores = Self {
            buses: filler.buses.as_reader(),
            backups: filler.backups.as_reader(),
            secrets: filler.secrets.as_reader(),
            pods: filler.pods.as_reader(),
            stateful_sets: filler.stateful_sets.as_reader(),
            claims: filler.claims.as_reader(),
            services: filler.services.as_reader(),
            config_maps: filler.config_maps.as_reader(),
            service_accounts: filler.service_accounts.as_reader(),
            disruption_budgets: filler.disruption_budgets.as_reader(),
            network_policies: filler.network_policies.as_reader(),
            endpoint_slices: filler.endpoint_slices.as_reader(),
            empty: watch::channel(0).1,
        };
        (stores, filler)
    }
}

impl Filler {
    /// Fills the stores with what an API server holds; all but buses and backups by their labels.
    pub fn fill(&mut self, api: &Api) {
        fill(&mut self.buses, api, "cachebuses");
        self.fill_but_buses(api);
    }

    /// The same, while the watch of buses says nothing.
    pub fn fill_but_buses(&mut self, api: &Api) {
        fill(&mut self.backups, api, "cachebusbackups");
        fill(&mut self.secrets, api, "secrets");
        fill(&mut self.pods, api, "pods");
        fill(&mut self.stateful_sets, api, "statefulsets");
        fill(&mut self.claims, api, "persistentvolumeclaims");
        fill(&mut self.services, api, "services");
        fill(&mut self.config_maps, api, "configmaps");
        fill(&mut self.service_accounts, api, "serviceaccounts");
        fill(&mut self.disruption_budgets, api, "poddisruptionbudgets");
        fill(&mut self.network_policies, api, "networkpolicies");
        fill(&mut self.endpoint_slices, api, "endpointslices");
    }
}

fn fill<K>(writer: &mut Writer<K>, api: &Api, resource: &str)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
{
    writer.apply_watcher_event(&Event::Init);
    for object in api.all(resource) {
        let labels = &object["metadata"]["labels"];
        let selected = match resource {
            "cachebuses" | "cachebusbackups" => true,
            "persistentvolumeclaims" => !labels[BUS_LABEL].is_null(),
            _ => labels["app.kubernetes.io/managed-by"] == "cachebus",
        };
        if selected {
            writer.apply_watcher_event(&Event::InitApply(serde_json::from_value(object).unwrap()));
        }
    }
    writer.apply_watcher_event(&Event::InitDone);
}
