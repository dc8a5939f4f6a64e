//! Sends one object by server-side apply.

use super::{Outcome, Sender};
use crate::error::Error;
use crate::ledger::{Ledger, Mark, digest};
use crate::ownership::{Owner, name_conflict, owner};
use cachebus_core::names::MANAGER;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Instant;

/// Status code of an object whose fields do not go together.
const UNPROCESSABLE: u16 = 422;

/// A kind of object that is sent by server-side apply.
pub trait Applicable:
    k8s_openapi::Resource
    + Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
{
}

impl<K> Applicable for K where
    K: k8s_openapi::Resource
        + Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
{
}

/// Sends an object by server-side apply. A list that was edited by hand may clash with what is applied, such as two ports of one
/// name: apply takes no entry away that it did not make. Then the lists are put back whole.
async fn send<K: Applicable>(api: &Api<K>, name: &str, object: &K) -> kube::Result<K> {
    let apply = PatchParams::apply(MANAGER).force();
    match api.patch(name, &apply, &Patch::Apply(object)).await {
        Err(kube::Error::Api(status)) if status.code == UNPROCESSABLE => {
            let merge = PatchParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PatchParams::default()
            };
            api.patch(name, &merge, &Patch::Merge(object)).await?;
            api.patch(name, &apply, &Patch::Apply(object)).await
        }
        sent => sent,
    }
}

impl Sender<'_> {
    /// Sends two objects of a kind.
    pub(super) async fn both<K, S>(
        &self,
        store: &Store<S>,
        one: &K,
        other: &K,
    ) -> [Result<Outcome, Error>; 2]
    where
        K: Applicable,
        S: Resource<DynamicType = ()> + Clone + 'static,
    {
        futures::join!(self.object(store, one), self.object(store, other)).into()
    }

    /// Sends an object, unless it is there as this process sent it. `store` shows what there is.
    pub(super) async fn object<K, S>(&self, store: &Store<S>, object: &K) -> Result<Outcome, Error>
    where
        K: Applicable,
        S: Resource<DynamicType = ()> + Clone + 'static,
    {
        let kind = <K as k8s_openapi::Resource>::KIND;
        let name = object.name_any();
        let namespace = self.bus.names.namespace();
        let api: Api<K> = Api::namespaced(self.context.client.clone(), namespace);
        let failed = |verb| {
            let name = name.clone();
            move |error: kube::Error| Error::api(verb, kind, &name, &error)
        };

        let seen = store.get(&ObjectRef::new(&name).within(namespace));
        let mark = seen.as_ref().map(|object| Mark::of(object.meta()));
        let text = serde_json::to_vec(object)
            .map_err(|error| failed("patch")(kube::Error::SerdeError(error)))?;
        let digest = digest(&text);
        if !self.ledger(|ledger| ledger.is_due(kind, &name, digest, mark, Instant::now())) {
            return Ok(Outcome::There);
        }

        // What the watch does not show may be there all the same, without the labels by which the bus's own are watched.
        let there = match seen {
            Some(seen) => Some(seen.meta().clone()),
            None => api
                .get_metadata_opt(&name)
                .await
                .map_err(failed("get"))?
                .map(|object| object.metadata),
        };
        if let Some(Owner::Foreign(owner)) = there.map(|metadata| owner(self.bus, &metadata)) {
            return Ok(Outcome::Blocked(name_conflict(kind, &name, &owner)));
        }
        let sent = send(&api, &name, object).await.map_err(failed("patch"))?;
        let after = Mark::of(sent.meta());
        self.ledger(|ledger| ledger.note(kind, &name, digest, mark, after, Instant::now()));
        Ok(Outcome::There)
    }

    fn ledger<T>(&self, f: impl FnOnce(&mut Ledger) -> T) -> T {
        let names = &self.bus.names;
        let memory = &self.context.memory;
        memory.with(
            names.namespace(),
            names.bus(),
            &self.bus.uid,
            |remembered| f(&mut remembered.ledger),
        )
    }
}
