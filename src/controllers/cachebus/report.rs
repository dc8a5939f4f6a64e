//! Writes the status, and tells people what changed.

use super::Next;
use super::observe::now_ms;
use crate::context::Context;
use crate::error::Error;
use crate::events;
use crate::fault::{self, FaultPoint};
use crate::partial::PartialBus;
use crate::watches::request;
use cachebus_api::{CacheBus, CacheBusStatus};
use cachebus_core::bus::{Bus as ValidBus, Violation};
use cachebus_core::events::{EventDraft, between};
use cachebus_core::names::MANAGER;
use cachebus_core::status;
use cachebus_core::tls::authority_lost;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams, TypeMeta};
use kube::{Api, ResourceExt as _};
use serde_json::json;

/// A bus as it was last read or written.
pub struct Bus<'a> {
    object: &'a CacheBus,
    version: Option<String>,
    written: Option<CacheBusStatus>,
}

impl<'a> Bus<'a> {
    /// A bus as the watch shows it.
    pub fn new(object: &'a CacheBus) -> Self {
        Self {
            object,
            version: object.metadata.resource_version.clone(),
            written: None,
        }
    }

    /// Its status as last read or written.
    pub fn status(&self) -> CacheBusStatus {
        self.written
            .clone()
            .or_else(|| self.object.status.clone())
            .unwrap_or_default()
    }

    /// What a person asks of it by an annotation.
    pub fn request(&self, annotation: &str) -> Option<String> {
        request(self.object, annotation).map(str::to_owned)
    }

    /// Takes a request, the annotation by which it was made, off the object, if that is as it was last read or written, and publishes
    /// what is told of it. `false`: it is not.
    pub async fn answer(
        &mut self,
        context: &Context,
        annotation: &str,
        told: Vec<EventDraft>,
    ) -> Result<bool, Error> {
        let name = self.object.name_any();
        let namespace = self.object.namespace().unwrap_or_default();
        let api: Api<PartialBus> = Api::namespaced(context.client.clone(), &namespace);
        let patch = json!({"metadata": {
            "resourceVersion": self.version,
            "annotations": {annotation: null},
        }});
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api.patch(&name, &params, &Patch::Merge(&patch)).await {
            Ok(written) => {
                self.version = written.metadata.resource_version;
                events::publish(context, self.object, told).await;
                Ok(true)
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(Error::api("patch", "CacheBus", &name, &error)),
        }
    }
}

/// What is to be reported of a bus whose spec cannot be carried out, where `current` is to be reported of what runs.
pub fn with_violations(
    bus: &Bus<'_>,
    current: CacheBusStatus,
    violations: &[Violation],
) -> CacheBusStatus {
    if violations.is_empty() {
        return current;
    }
    let generation = bus.object.metadata.generation.unwrap_or_default();
    status::invalid(&bus.status(), current, generation, violations, now_ms())
}

/// Says what cannot be carried out of a spec, where no earlier spec is known that could be.
pub async fn invalid(
    context: &Context,
    mut bus: Bus<'_>,
    violations: &[Violation],
) -> Result<Next, Error> {
    let status = with_violations(&bus, bus.status(), violations);
    let written = report(context, &mut bus, &status).await?;
    Ok(if written { Next::OnChange } else { Next::Again })
}

/// Says that the agents of a bus cannot be spoken to, nor may certificates be made with which they could. Nothing else is
/// done for it, since nobody says how it is.
pub async fn cut_off(
    context: &Context,
    mut watched: Bus<'_>,
    bus: &ValidBus,
    violations: &[Violation],
) -> Result<Next, Error> {
    let lost = authority_lost(&bus.names);
    let current = status::cut_off(watched.status(), bus.generation, &lost, now_ms());
    let status = with_violations(&watched, current, violations);
    let written = report(context, &mut watched, &status).await?;
    Ok(if written { Next::Later } else { Next::Again })
}

/// Writes a status, unless it is there. `false`: the object has changed since it was read, and nothing was written.
pub async fn report(
    context: &Context,
    bus: &mut Bus<'_>,
    status: &CacheBusStatus,
) -> Result<bool, Error> {
    if bus.status() == *status {
        return Ok(true);
    }
    fault::point(FaultPoint::BeforeStatus);
    write(context, bus, status, FaultPoint::AfterStatus).await
}

/// Writes a status if the object is as it was last read or written, and tells people at once how it differs: what comes
/// afterwards may end the pass. The fault point lies between the two. `false`: it is not, and nothing was written.
pub async fn write(
    context: &Context,
    bus: &mut Bus<'_>,
    status: &CacheBusStatus,
    point: FaultPoint,
) -> Result<bool, Error> {
    let before = bus.status();
    if !replace(context, bus, status).await? {
        return Ok(false);
    }
    fault::point(point);
    events::publish(context, bus.object, between(&before, status)).await;
    Ok(true)
}

/// Writes a status if the object is as it was last read or written. `false`: it is not.
async fn replace(
    context: &Context,
    bus: &mut Bus<'_>,
    status: &CacheBusStatus,
) -> Result<bool, Error> {
    let name = bus.object.name_any();
    let namespace = bus.object.namespace().unwrap_or_default();
    let api: Api<PartialBus> = Api::namespaced(context.client.clone(), &namespace);
    let object = PartialBus {
        types: TypeMeta::resource::<CacheBus>(),
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace),
            uid: bus.object.uid(),
            resource_version: bus.version.clone(),
            ..ObjectMeta::default()
        },
        status: Some(status.clone()),
    };
    match api
        .replace_status(&name, &PostParams::default(), &object)
        .await
    {
        Ok(written) => {
            bus.version = written.metadata.resource_version;
            bus.written = Some(status.clone());
            Ok(true)
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(error) => Err(Error::api("update", "CacheBus", &name, &error)),
    }
}
