//! What a bus's objects are made of besides its spec (passwords, certificates), and the objects.

use super::dereference;
use super::observe::now_ms;
use crate::apply::{self, Applied, Foundations};
use crate::context::Context;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::passwords::{self, NoRandomness};
use crate::pki;
use cachebus_core::acl::AclFiles;
use cachebus_core::bus::Bus;
use cachebus_core::credentials::{self, Credentials, Password};
use cachebus_core::observed::Observed;
use cachebus_core::plan::{Blocked, asleep, kept, routes};
use cachebus_core::render::{Inputs, render, secrets};
use cachebus_core::tls::{Authority, Certificates, authority_lost};
use rustls::crypto::CryptoProvider;

/// What a bus's objects are made of besides its spec.
pub struct Material {
    /// The users' passwords.
    pub credentials: Credentials,
    /// The bus's certificates.
    pub certificates: Certificates,
}

impl Material {
    /// What cannot be had of it, and why.
    pub fn blocked(&self, bus: &Bus) -> Option<Blocked> {
        match self.certificates.authority {
            Authority::Whole(_) => None,
            Authority::Lost { .. } => Some(authority_lost(&bus.names)),
        }
    }
}

/// What there is stays; what is missing is made. Nothing is stored here. `None`: there is nothing left to speak to the
/// agents with, and no new authority may be made.
pub fn settle(context: &Context, bus: &Bus) -> Result<Option<Material>, Error> {
    let now_s = i64::try_from(now_ms() / 1_000).unwrap_or(i64::MAX);
    let certificates = pki::settle(bus, &dereference::certificates(context, bus), now_s)?;
    let Some(certificates) = certificates else {
        return Ok(None);
    };
    let credentials = credentials(context, bus)?;
    fault::point(FaultPoint::PasswordsSettled);
    Ok(Some(Material {
        credentials,
        certificates,
    }))
}

/// Renders every object of the bus and sends what is not as it should be; of a paused one only where its Services lead. `acl`:
/// the users' rights.
pub async fn apply(
    context: &Context,
    bus: &Bus,
    material: &Material,
    acl: &AclFiles,
    observed: &Observed,
) -> Applied {
    let Material {
        credentials,
        certificates,
    } = material;
    let kept = kept(bus, observed);
    let inputs = Inputs {
        credentials,
        certificates,
        acl,
        kept: kept.as_deref(),
        routes: &routes(bus, observed),
        asleep: &asleep(bus, observed),
        sets: &observed.sets,
    };
    let rendered = Box::new(render(bus, &context.platform, &inputs));
    if bus.spec.paused {
        // One that was never seen to have a primary has no routes to follow.
        return match kept {
            Some(_) => apply::routes(context, bus, &rendered).await,
            None => Applied::default(),
        };
    }
    let authority = secrets::authority(bus, &certificates.authority);
    let foundations = Foundations {
        credentials: &secrets::credentials(bus, credentials, &certificates.authority),
        authority: authority.as_ref(),
    };
    Box::pin(apply::apply(context, bus, &foundations, &rendered)).await
}

fn credentials(context: &Context, bus: &Bus) -> Result<Credentials, NoRandomness> {
    let random = CryptoProvider::get_default()
        .ok_or(NoRandomness)?
        .secure_random;
    let mut missing = None;
    let mut draw = || {
        passwords::draw(random).unwrap_or_else(|error| {
            missing = Some(error);
            Password::new(String::new())
        })
    };
    let credentials = credentials::settle(bus, &dereference::passwords(context, bus), &mut draw);
    missing.map_or(Ok(credentials), Err)
}
