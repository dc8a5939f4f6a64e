//! Sends what is rendered, where it is not there already.

use crate::context::Context;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::ledger::{Mark, digest};
use crate::ownership::{Owner, name_conflict, owner};
use crate::secrets::{self, Stored};
use cachebus_core::bus::Bus;
use cachebus_core::names::MANAGER;
use cachebus_core::plan::{Blocked, reason};
use cachebus_core::render::Rendered;
use futures::future::join_all;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Instant;

/// What became of what was to be sent.
#[derive(Debug, Default)]
pub struct Applied {
    /// What is not there, and why it cannot be.
    pub blocked: Vec<Blocked>,
    /// What failed and may succeed when it is tried again.
    pub failures: Vec<Error>,
    /// Something else changed what was read. The pass must begin anew.
    pub stale: bool,
    /// Whether the Secrets are stored that everything else rests on.
    pub founded: bool,
}

impl Applied {
    fn add(&mut self, result: Result<Option<Blocked>, Error>) {
        match result {
            Ok(blocked) => self.blocked.extend(blocked),
            Err(error) if error.is_rejected() => self.blocked.push(rejected(&error)),
            Err(error) => self.failures.push(error),
        }
    }

    /// Whether all was well.
    fn is_clean(&self) -> bool {
        self.blocked.is_empty() && self.failures.is_empty() && !self.stale
    }
}

fn rejected(error: &Error) -> Blocked {
    Blocked {
        reason: reason::REJECTED,
        message: error.to_string(),
    }
}

/// The Secrets that the bus's other objects rest on, each with the point that follows it.
pub struct Foundations<'a> {
    /// Every password; all others are copies.
    pub credentials: &'a Secret,
    /// The authority; all certificates are signed by it.
    pub authority: &'a Secret,
}

/// Sends every object of a bus that is not as it should be. Nothing is sent that rests on what could not be sent.
pub async fn apply(
    context: &Context,
    bus: &Bus,
    foundations: &Foundations<'_>,
    rendered: &Rendered,
) -> Applied {
    let Rendered {
        config,
        redis_auth,
        sentinel_auth,
        acl,
        serving_certificate,
        operator_certificate,
        bindings,
        redis_account,
        sentinel_account,
        redis_network,
        sentinel_network,
        redis_nodes,
        sentinel_nodes,
        primary,
        replicas,
        sentinels,
        primary_endpoints,
        replicas_endpoints,
        redis,
        sentinel,
        redis_budget,
        sentinel_budget,
    } = rendered;
    let applying = Applying { context, bus };
    let stores = &context.stores;
    let mut applied = Applied::default();

    for (secret, point) in [
        (foundations.credentials, FaultPoint::CredentialsStored),
        (foundations.authority, FaultPoint::AuthorityStored),
        (serving_certificate, FaultPoint::ServingCertificateStored),
        (operator_certificate, FaultPoint::OperatorCertificateStored),
        (redis_auth, FaultPoint::RedisAuthStored),
        (sentinel_auth, FaultPoint::SentinelAuthStored),
        (acl, FaultPoint::AclStored),
    ] {
        applying.secret(secret, point, &mut applied).await;
        if !applied.is_clean() {
            return applied;
        }
    }
    applied.founded = true;
    for secret in bindings.values() {
        applying
            .secret(secret, FaultPoint::BindingStored, &mut applied)
            .await;
    }
    applying
        .remove_bindings(bindings.values(), &mut applied)
        .await;

    let surroundings = futures::join!(
        applying.send(&stores.config_maps, config),
        both(
            &applying,
            &stores.service_accounts,
            [redis_account, sentinel_account]
        ),
        both(
            &applying,
            &stores.network_policies,
            [redis_network, sentinel_network]
        ),
        both(&applying, &stores.services, [redis_nodes, sentinel_nodes]),
        both(&applying, &stores.services, [primary, replicas]),
        applying.send(&stores.services, sentinels),
        both(
            &applying,
            &stores.disruption_budgets,
            [redis_budget, sentinel_budget]
        ),
    );
    let (config, accounts, networks, nodes, routed, sentinels, budgets) = surroundings;
    for result in [config, sentinels].into_iter().chain(
        [accounts, networks, nodes, routed, budgets]
            .into_iter()
            .flatten(),
    ) {
        applied.add(result);
    }
    fault::point(FaultPoint::SurroundingsApplied);
    applied.add(
        applying
            .send(&stores.endpoint_slices, primary_endpoints)
            .await,
    );
    applied.add(
        applying
            .send(&stores.endpoint_slices, replicas_endpoints)
            .await,
    );
    fault::point(FaultPoint::RoutesApplied);
    applied.add(applying.send(&stores.stateful_sets, redis).await);
    fault::point(FaultPoint::RedisApplied);
    applied.add(applying.send(&stores.stateful_sets, sentinel).await);
    fault::point(FaultPoint::SentinelApplied);
    applied
}

async fn both<K, S>(
    applying: &Applying<'_>,
    store: &Store<S>,
    objects: [&K; 2],
) -> Vec<Result<Option<Blocked>, Error>>
where
    K: Applicable,
    S: Resource<DynamicType = ()> + Clone + 'static,
{
    join_all(objects.map(|object| applying.send(store, object))).await
}

/// A kind of object that is sent by server-side apply.
trait Applicable:
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

struct Applying<'a> {
    context: &'a Context,
    bus: &'a Bus,
}

impl Applying<'_> {
    async fn secret(&self, secret: &Secret, point: FaultPoint, applied: &mut Applied) {
        match secrets::store(self.context, self.bus, secret).await {
            Ok(Stored::Unchanged) => {}
            Ok(Stored::Written) => fault::point(point),
            Ok(Stored::Stale) => applied.stale = true,
            Ok(Stored::Taken(blocked)) => applied.blocked.push(blocked),
            Err(error) => applied.add(Err(error)),
        }
    }

    /// Removes the Secrets of services that the bus has no more.
    async fn remove_bindings(
        &self,
        bindings: impl Iterator<Item = &Secret>,
        applied: &mut Applied,
    ) {
        let needed: Vec<String> = bindings.map(kube::ResourceExt::name_any).collect();
        let prefix = self.bus.names.binding("");
        let namespace = self.bus.names.namespace();
        let left_over = self.context.stores.secrets.state_filter(|secret| {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            secret.metadata.namespace.as_deref() == Some(namespace)
                && name.starts_with(&prefix)
                && !needed.iter().any(|needed| needed == name)
                && owner(self.bus, &secret.metadata) == Owner::Ours
        });
        for secret in left_over {
            match secrets::delete(self.context, self.bus, &secret).await {
                Err(error) if error.is_conflict() => applied.stale = true,
                result => applied.add(result.map(|()| None)),
            }
        }
    }

    /// Sends an object, unless it is there as this process sent it.
    async fn send<K, S>(&self, store: &Store<S>, object: &K) -> Result<Option<Blocked>, Error>
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
        let digest = digest(
            &serde_json::to_vec(object)
                .map_err(|error| failed("patch")(kube::Error::SerdeError(error)))?,
        );
        if !self.remembered(|ledger| ledger.is_due(kind, &name, digest, mark, Instant::now())) {
            return Ok(None);
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
            return Ok(Some(name_conflict(kind, &name, &owner)));
        }
        let sent = api
            .patch(
                &name,
                &PatchParams::apply(MANAGER).force(),
                &Patch::Apply(object),
            )
            .await
            .map_err(failed("patch"))?;
        let after = Mark::of(sent.meta());
        self.remembered(|ledger| ledger.note(kind, &name, digest, mark, after, Instant::now()));
        Ok(None)
    }

    fn remembered<T>(&self, f: impl FnOnce(&mut crate::ledger::Ledger) -> T) -> T {
        let names = &self.bus.names;
        self.context.memory.with(
            names.namespace(),
            names.bus(),
            &self.bus.uid,
            |remembered| f(&mut remembered.ledger),
        )
    }
}
