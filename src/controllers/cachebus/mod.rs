//! The controller of `CacheBus`: [`reconcile`] is one pass over one bus.

mod act;
mod dereference;
mod observe;
mod report;
mod run;
mod settle;
#[cfg(test)]
mod tests;
mod undecodable;

pub use run::run;

use crate::apply::{Foundations, apply};
use crate::context::Context;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::watches::WatchedBus;
use act::act;
use cachebus_core::bus::Bus;
use cachebus_core::plan::{Desired, Plan, plan, routes};
use cachebus_core::render::{Inputs, render, secrets};
use cachebus_core::status;
use std::sync::Arc;
use std::time::Instant;

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
pub async fn reconcile(object: &WatchedBus, context: &Arc<Context>) -> Result<Next, Error> {
    let object = match &object.0 {
        Ok(object) => object,
        Err(invalid) => {
            return undecodable::report(context, invalid)
                .await
                .map(|()| Next::OnChange);
        }
    };
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(Next::OnChange);
    }
    let mut watched = report::Bus::new(object);
    let bus = match Bus::validate(object, &context.platform) {
        Ok(bus) => bus,
        Err(violations) => {
            let generation = object.metadata.generation.unwrap_or_default();
            let status = status::invalid(
                &watched.status(),
                generation,
                &violations,
                observe::now_ms(),
            );
            let written = report::report(context, &mut watched, &status).await?;
            return Ok(if written { Next::OnChange } else { Next::Again });
        }
    };

    let now_s = i64::try_from(observe::now_ms() / 1_000).unwrap_or(i64::MAX);
    let material = settle::settle(context, &bus, now_s)?;
    let agents = context.agents.of(&bus, &material.certificates)?;
    let seen_at = Instant::now();
    let mut observed = observe::observe(context, &bus, &agents, &watched.status()).await;

    let rendered = render(
        &bus,
        &context.platform,
        &Inputs {
            credentials: &material.credentials,
            certificates: &material.certificates,
            acl: &material.acl,
            routes: &routes(&bus, &observed),
            claims: &dereference::claim_sizes(context, &bus),
        },
    );
    let foundations = Foundations {
        credentials: &secrets::credentials(&bus, &material.credentials),
        authority: &secrets::authority(&bus, &material.certificates.authority),
    };
    let applied = apply(context, &bus, &foundations, &rendered).await;
    if applied.stale {
        return Ok(Next::Again);
    }

    let desired = Desired { acl: material.acl };
    // What would be ordered rests on the Secrets: the users on the passwords, the reach of agents on the certificates.
    let mut plan = if applied.founded {
        plan(&bus, &observed, &desired)
    } else {
        Plan::default()
    };
    plan.blocked.splice(0..0, applied.blocked);
    fault::point(FaultPoint::Planned);
    let acted = act(
        context,
        &bus,
        &agents,
        &mut watched,
        &mut observed,
        &plan,
        seen_at,
    )
    .await;
    if acted.stale && acted.failures.is_empty() {
        return Ok(Next::Again);
    }

    plan.blocked.extend(acted.blocked);
    let expires = crate::pki::expiry(&material.certificates.serving.certificate);
    let status = status::report(&bus, &observed, &plan, &desired, expires);
    if !report::report(context, &mut watched, &status).await? {
        return Ok(Next::Again);
    }
    match applied.failures.into_iter().chain(acted.failures).next() {
        Some(failure) => Err(failure),
        None if plan.unsettled => Ok(Next::Soon),
        None => Ok(Next::Later),
    }
}
