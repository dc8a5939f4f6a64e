//! The controller of `CacheBus`: [`reconcile`] is one pass over one bus.

mod act;
mod dereference;
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
pub use run::run;

use crate::context::Context;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::pki;
use crate::watches::WatchedBus;
use act::act;
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
    let object = match &object.0 {
        Ok(object) => object,
        Err(unreadable) => return undecodable::report(context, unreadable).await,
    };
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(Next::OnChange);
    }
    let mut watched = report::Bus::new(object);
    let Validated { bus, violations } = validate::validate(context, object);
    let Some(bus) = bus else {
        return report::invalid(context, watched, &violations).await;
    };

    let material = settle::settle(context, &bus)?;
    let agents = Arc::new(context.agents.of(&bus, &material.certificates)?);
    let (mut observed, heard) = observe::observe(context, &bus, &agents, watched.status()).await;
    context.polls.follow(&key, &agents, heard);

    let applied = settle::apply(context, &bus, &material, &observed).await;
    if applied.stale {
        return Ok(Next::Again);
    }

    let desired = Desired { acl: material.acl };
    // What would be ordered rests on the Secrets: users on passwords, the way to agents on certificates.
    let mut plan = if applied.founded {
        plan(&bus, &observed, &desired)
    } else {
        Plan::default()
    };
    plan.blocked.splice(0..0, applied.blocked);
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

    let expires = pki::expiry(&material.certificates.serving.certificate);
    let current = status::report(&bus, &observed, &plan, &desired, expires);
    let status = report::with_violations(&watched, current, &violations);
    if !report::report(context, &mut watched, &status).await? {
        return Ok(Next::Again);
    }
    match applied.failures.into_iter().chain(acted.failures).next() {
        Some(failure) => Err(failure),
        None if plan.unsettled => Ok(Next::Soon),
        None => Ok(Next::Later),
    }
}
