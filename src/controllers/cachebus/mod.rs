//! The controller of `CacheBus`: [`reconcile`] is one pass over one bus.

mod act;
mod backups;
mod dereference;
mod last_valid;
mod observe;
mod pace;
mod report;
mod run;
mod settle;
#[cfg(test)]
mod tests;
mod undecodable;
mod validate;

pub use pace::Pace;
#[cfg(test)]
pub use run::pass;
pub use run::run;

use crate::context::Context;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::pki;
use crate::watches::WatchedBus;
use act::act;
use cachebus_api::CacheBus;
use cachebus_core::acl;
use cachebus_core::bus::Bus;
use cachebus_core::plan::{Desired, Plan, plan};
use cachebus_core::status;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use validate::Validated;

/// When the next pass over a bus is due, if no event asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once: what this pass rested on had changed.
    Again,
    /// In a moment: the world is still moving.
    Soon,
    /// At leisure.
    Later,
    /// When the object changes.
    OnChange,
}

/// One pass over a bus.
pub async fn reconcile(object: &WatchedBus, context: &Context) -> Result<Next, Error> {
    let key = ObjectRef::from_obj(object);
    let unreadable = match &object.0 {
        Ok(object) if object.metadata.deletion_timestamp.is_some() => return Ok(Next::OnChange),
        Ok(object) => {
            let validated = validate::validate(context, object).await?;
            return Box::pin(serve(context, &key, object, validated)).await;
        }
        Err(unreadable) => unreadable,
    };
    let Some(live) = undecodable::live(context, unreadable).await? else {
        return Ok(Next::OnChange);
    };
    match undecodable::stand_in(context, unreadable, &live).await? {
        Some((object, validated)) => Box::pin(serve(context, &key, &object, validated)).await,
        None => undecodable::report(context, unreadable, &live).await,
    }
}

/// The bus, paused where the object says so: that holds also while the rest of its spec cannot be carried out.
fn held(bus: Arc<Bus>, object: &CacheBus) -> Arc<Bus> {
    if !object.spec.paused || bus.spec.paused {
        return bus;
    }
    let mut held = (*bus).clone();
    held.spec.paused = true;
    Arc::new(held)
}

/// One pass over a bus of which it is known what it is to be.
async fn serve(
    context: &Context,
    key: &ObjectRef<WatchedBus>,
    object: &CacheBus,
    validated: Validated,
) -> Result<Next, Error> {
    let mut watched = report::Bus::new(object);
    let Validated { bus, violations } = validated;
    let Some(bus) = bus else {
        return report::invalid(context, watched, &violations).await;
    };
    let bus = held(bus, object);

    let Some(material) = settle::settle(context, &bus)? else {
        return report::cut_off(context, watched, &bus, &violations).await;
    };
    let agents = Arc::new(context.agents.of(&bus, &material.certificates)?);
    let (mut observed, heard) = observe::observe(context, &bus, &agents, &watched).await;
    context.polls.follow(key, &agents, heard);
    // While nodes are upgraded one by one, all must understand what is sent to all.
    let bus = bus.for_engine(observed.oldest_engine(&bus));
    let bus = bus.of_record(observed.status.topology.as_ref());

    let acl = acl::files(&bus, &material.credentials);
    let applied = settle::apply(context, &bus, &material, &acl, &observed).await;
    if applied.stale {
        return Ok(Next::Again);
    }

    let serving = &material.certificates.serving.certificate;
    let desired = Desired {
        acl,
        certificate_expires: pki::expiry(serving),
        certificate: pki::fingerprint(serving),
    };
    // What would be ordered rests on the Secrets: users on passwords, the way to agents on certificates.
    let mut plan = if applied.founded {
        plan(&bus, &observed, &desired)
    } else {
        Plan::default()
    };
    plan.blocked.splice(0..0, applied.blocked);
    plan.blocked.extend(material.blocked(&bus));
    fault::point(FaultPoint::Planned);

    let acted = act(context, &bus, &agents, &mut watched, &mut observed, &plan).await;
    if acted.stale {
        return acted
            .failures
            .into_iter()
            .next()
            .map_or(Ok(Next::Again), Err);
    }
    plan.blocked.extend(acted.blocked);
    let backup_failures = backups::act(context, &bus, &observed).await;

    let current = status::report(&bus, &observed, &plan, &desired);
    let status = report::with_violations(&watched, current, &violations);
    if !report::report(context, &mut watched, &status).await? {
        return Ok(Next::Again);
    }
    let failures = applied.failures.into_iter().chain(acted.failures);
    match failures.chain(backup_failures).next() {
        Some(failure) => Err(failure),
        None if plan.unsettled => Ok(Next::Soon),
        None => Ok(Next::Later),
    }
}
