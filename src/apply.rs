//! Sends what is rendered, where it is not there already.

mod object;
mod secret;

use crate::context::Context;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use cachebus_core::bus::Bus;
use cachebus_core::plan::{Blocked, reason};
use cachebus_core::render::Rendered;
use futures::future::join_all;
use futures::join;
use k8s_openapi::api::core::v1::Secret;

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

/// What became of one object.
#[derive(Debug)]
enum Outcome {
    /// It is there as it should be.
    There,
    /// It cannot be there.
    Blocked(Blocked),
    /// It had changed since it was read.
    Stale,
}

impl Applied {
    fn add(&mut self, results: impl IntoIterator<Item = Result<Outcome, Error>>) {
        for result in results {
            match result {
                Ok(Outcome::There) => {}
                Ok(Outcome::Blocked(blocked)) => self.blocked.push(blocked),
                Ok(Outcome::Stale) => self.stale = true,
                Err(error) if error.is_rejected() => self.blocked.push(Blocked {
                    reason: reason::REJECTED,
                    message: error.to_string(),
                }),
                Err(error) => self.failures.push(error),
            }
        }
    }

    fn is_clean(&self) -> bool {
        self.blocked.is_empty() && self.failures.is_empty() && !self.stale
    }
}

/// The Secrets that are made once and that all others follow from.
pub struct Foundations<'a> {
    /// Every password, and a copy of the authority; all others are copies.
    pub credentials: &'a Secret,
    /// The authority; all certificates are signed by it. `None`: its key is lost, and what is left of it stays as it is.
    pub authority: Option<&'a Secret>,
}

/// The bus for which objects are sent.
struct Sender<'a> {
    context: &'a Context,
    bus: &'a Bus,
}

impl Sender<'_> {
    /// Sends where the Services lead. That of the primary first: kube-proxy lets a second pass after the first of two changes.
    async fn routes(&self, rendered: &Rendered) -> Vec<Result<Outcome, Error>> {
        let store = &self.context.stores.endpoint_slices;
        let mut sent = Vec::new();
        let slices = rendered.primary_endpoints.iter();
        for slice in slices.chain([&rendered.replicas_endpoints]) {
            sent.push(self.object(store, slice).await);
        }
        sent
    }
}

/// Sends where the Services of a bus lead, and nothing else: of a bus that is to be left as it is.
pub async fn routes(context: &Context, bus: &Bus, rendered: &Rendered) -> Applied {
    let mut applied = Applied {
        founded: true,
        ..Applied::default()
    };
    applied.add(Sender { context, bus }.routes(rendered).await);
    applied
}

/// Sends every object of a bus that is not as it should be. Nothing is sent that rests on what could not be sent.
pub async fn apply(
    context: &Context,
    bus: &Bus,
    foundations: &Foundations<'_>,
    rendered: &Rendered,
) -> Applied {
    // A field that nobody sends does not compile.
    let Rendered {
        config,
        last_valid,
        redis_auth,
        sentinel_auth,
        acl,
        serving_certificate,
        operator_certificate,
        bindings,
        redis_account,
        sentinel_account,
        backup_account,
        redis_network,
        sentinel_network,
        backup_network,
        redis_nodes,
        sentinel_nodes,
        primary,
        replicas,
        sentinels,
        primary_endpoints: _,
        replicas_endpoints: _,
        redis,
        sentinel,
        redis_budget,
        sentinel_budget,
    } = rendered;
    let send = Sender { context, bus };
    let stores = &context.stores;
    // Where clients go rests on nothing else, and must follow a failover whatever stands in the way of the rest.
    let routes = send.routes(rendered).await;
    let copies = [
        (serving_certificate, FaultPoint::ServingCertificateStored),
        (operator_certificate, FaultPoint::OperatorCertificateStored),
        (redis_auth, FaultPoint::RedisAuthStored),
        (sentinel_auth, FaultPoint::SentinelAuthStored),
        (acl, FaultPoint::AclStored),
    ];
    let mut applied = send.secrets(foundations, copies).await;
    applied.add(routes);
    if !applied.founded {
        return applied;
    }

    let services = [redis_nodes, sentinel_nodes, primary, replicas, sentinels];
    let services = services.map(|service| send.object(&stores.services, service));
    let of_backups = async {
        futures::join!(
            send.object(&stores.service_accounts, backup_account),
            send.object(&stores.network_policies, backup_network),
        )
    };
    let (bound, unbound, config, last_valid, services, accounts, networks, budgets, of_backups) = join!(
        send.bindings(bindings.values()),
        send.no_other_bindings(bindings.values()),
        send.object(&stores.config_maps, config),
        send.object(&stores.config_maps, last_valid),
        join_all(services),
        send.both(&stores.service_accounts, redis_account, sentinel_account),
        send.both(&stores.network_policies, redis_network, sentinel_network),
        send.both(&stores.disruption_budgets, redis_budget, sentinel_budget),
        of_backups,
    );
    // Pods run on their settings, by their account and behind their policy.
    let stand = |account, network| [&config, account, network].into_iter().all(is_there);
    let sets = [
        stand(&accounts[0], &networks[0]).then_some(redis),
        stand(&accounts[1], &networks[1]).then_some(sentinel),
    ];
    applied.add(bound.into_iter().chain(unbound).chain(services));
    applied.add([config, last_valid]);
    applied.add(accounts.into_iter().chain(networks).chain(budgets));
    applied.add([of_backups.0, of_backups.1]);
    fault::point(FaultPoint::SurroundingsApplied);

    let sets = sets.into_iter().flatten();
    let sets = sets.map(|set| send.object(&stores.stateful_sets, set));
    applied.add(join_all(sets).await);
    fault::point(FaultPoint::PodsApplied);
    applied
}

fn is_there(outcome: &Result<Outcome, Error>) -> bool {
    matches!(outcome, Ok(Outcome::There))
}
