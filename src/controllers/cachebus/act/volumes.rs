//! What is done about volumes: they grow, are given up, and get other templates.

use super::Acting;
use crate::error::Error;
use crate::ownership::only;
use crate::partial::{PartialClaim, PartialStatefulSet};
use cachebus_core::names::{Component, MANAGER};
use cachebus_core::observed::Observed;
use cachebus_core::plan::{Blocked, reason, replacement_intended};
use cachebus_core::render::second_owner;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use serde_json::json;

impl Acting<'_> {
    /// Deletes the claim of a pod, if the record still asks for it and, where that holds data, the primary says that it leads.
    /// `false`: it is kept.
    pub(super) async fn give_up(&mut self, pod: &str, claim: &str, observed: &Observed) -> bool {
        let still = self.still(|topology| replacement_intended(topology, pod, claim));
        if !still.await {
            return false;
        }
        let topology = observed.status.topology.as_ref();
        let primary = topology.and_then(|topology| topology.primary.as_deref());
        let filled = match primary {
            _ if observed.sentinels.contains_key(pod) => true,
            Some(primary) => self.leads(primary, observed).await == Some(true),
            None => false,
        };
        // Last: to see the record may have taken its time, and Sentinels may have made it the primary meanwhile.
        if !filled || self.may_lead(pod, observed).await {
            self.acted.stale = true;
            return false;
        }
        let name = self.bus.names.claim(pod);
        tracing::info!(pod, claim, "gives a volume up");
        let kind = "PersistentVolumeClaim";
        self.delete::<PartialClaim>(kind, &name, &only(claim)).await
    }

    /// Deletes a StatefulSet without its pods. The next pass makes it anew.
    ///
    /// The bus owns the pods first, too: the garbage collector leaves behind only those that it knows of, which may be none
    /// when it has just begun, and would delete the others as those whose only owner is gone.
    pub(super) async fn remake(&mut self, component: Component, uid: &str, observed: &Observed) {
        if !self.own_pods(component, observed).await {
            return;
        }
        let name = self.bus.names.workload(component);
        let without_pods = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..only(uid)
        };
        tracing::info!(name, uid, "makes a StatefulSet anew");
        self.delete::<PartialStatefulSet>("StatefulSet", &name, &without_pods)
            .await;
    }

    /// Adds the bus to the owners of the pods of a component. `false`: not of all of them.
    async fn own_pods(&mut self, component: Component, observed: &Observed) -> bool {
        // Of a strategic patch, references are added by UID.
        let owners = Patch::Strategic(json!({
            "metadata": {"ownerReferences": [second_owner(self.bus)]},
        }));
        let nodes = match component {
            Component::Redis => &observed.data,
            Component::Sentinel => &observed.sentinels,
        };
        for (pod, _) in nodes.iter().filter(|(_, node)| node.pod.is_some()) {
            if !self.patch_pod(pod, &owners).await {
                return false;
            }
        }
        true
    }

    /// Has the claim of a pod ask for more.
    pub(super) async fn grow(&mut self, pod: &str, claim: &str, size: &str) {
        let name = self.bus.names.claim(pod);
        let api: Api<PartialClaim> =
            Api::namespaced(self.context.client.clone(), self.bus.names.namespace());
        // Another claim of this name does not match the UID.
        let patch = json!({
            "metadata": {"uid": claim},
            "spec": {"resources": {"requests": {"storage": size}}},
        });
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        tracing::info!(pod, size, "has a volume grow");
        match api.patch(&name, &params, &Patch::Merge(&patch)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                self.acted.stale = true;
            }
            Err(error) => {
                let error = Error::api("patch", "PersistentVolumeClaim", &name, &error);
                if error.is_rejected() {
                    self.acted.blocked.push(Blocked {
                        reason: reason::REJECTED,
                        message: error.to_string(),
                    });
                } else {
                    self.acted.failures.push(error);
                }
            }
        }
    }
}
