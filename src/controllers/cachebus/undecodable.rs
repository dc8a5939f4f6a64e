//! A bus whose object cannot be read: said on that object, and of no consequence for any other. Its metadata and its status
//! can be read as a rule, so that it is looked after by its last valid spec.

use super::Next;
use super::last_valid::last_valid;
use super::validate::Validated;
use crate::context::Context;
use crate::error::Error;
use crate::events;
use cachebus_api::{CacheBus, CacheBusSpec, CacheBusStatus};
use cachebus_core::bus::Violation;
use cachebus_core::events::EventDraft;
use cachebus_core::names::MANAGER;
use cachebus_core::status::kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use serde_json::{Value, json};

const REASON: &str = "Undecodable";

/// An object that cannot be read, as the API server has it. `None`: it is gone or being deleted.
pub async fn live(
    context: &Context,
    invalid: &InvalidObject,
) -> Result<Option<DynamicObject>, Error> {
    let name = invalid.metadata.name.as_deref().unwrap_or_default();
    let live = api(context, invalid)
        .get_opt(name)
        .await
        .map_err(|error| Error::api("get", "CacheBus", name, &error))?;
    Ok(live.filter(|live| live.metadata.deletion_timestamp.is_none()))
}

/// An object that can be read, with everything but the spec, and what is to be done for it. `None`: there is no valid spec to
/// go by, or what was recorded of the bus cannot be read either.
pub async fn stand_in(
    context: &Context,
    invalid: &InvalidObject,
    live: &DynamicObject,
) -> Result<Option<(CacheBus, Validated)>, Error> {
    let status: Option<CacheBusStatus> = match serde_json::from_value(live.data["status"].clone()) {
        Ok(status) => status,
        Err(_) => return Ok(None),
    };
    let Some(bus) = last_valid(context, &live.metadata).await? else {
        return Ok(None);
    };
    let object = CacheBus {
        metadata: live.metadata.clone(),
        // A bus is left alone also while the rest of its spec cannot be read.
        spec: CacheBusSpec {
            paused: live.data["spec"]["paused"] == true,
            ..CacheBusSpec::default()
        },
        status,
    };
    let violation = Violation {
        path: "spec".to_owned(),
        reason: REASON,
        message: format!("cannot be read: {}", invalid.error),
    };
    let validated = Validated {
        bus: Some(bus),
        violations: vec![violation],
    };
    Ok(Some((object, validated)))
}

/// Says why an object cannot be read, in its status and by an Event, once for each reason.
pub async fn report(
    context: &Context,
    invalid: &InvalidObject,
    live: &DynamicObject,
) -> Result<Next, Error> {
    let message = format!("the object cannot be read: {}", invalid.error);
    if says(&live.data, &message) {
        return Ok(Next::OnChange);
    }
    let name = live.name_any();
    tracing::warn!(
        namespace = live.namespace(),
        name,
        error = invalid.error,
        "an object cannot be read"
    );
    // A merge patch replaces a list whole, so it names the version of the list that it rests on.
    let patch = json!({
        "metadata": {"resourceVersion": live.metadata.resource_version},
        "status": {"conditions": conditions(live, &message)},
    });
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api(context, invalid)
        .patch_status(&name, &params, &Patch::Merge(&patch))
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
            return Ok(Next::Again);
        }
        Err(error) => return Err(Error::api("patch", "CacheBus", &name, &error)),
    }
    let draft = EventDraft {
        warning: true,
        reason: REASON.to_owned(),
        action: "Decode".to_owned(),
        note: message,
    };
    let mut object = CacheBus::new(&name, CacheBusSpec::default());
    object.metadata = live.metadata.clone();
    events::publish(context, &object, vec![draft]).await;
    Ok(Next::OnChange)
}

/// The conditions that there are, with those in their place that an object which cannot be read has.
fn conditions(live: &DynamicObject, message: &str) -> Vec<Value> {
    let replaced = [kind::READY, kind::VALID];
    let there = live.data["status"]["conditions"].as_array();
    let kept = there.into_iter().flatten().filter(|condition| {
        let type_ = condition["type"].as_str();
        type_.is_some_and(|type_| !replaced.contains(&type_))
    });
    let said = replaced.map(|type_| {
        json!(Condition {
            type_: type_.to_owned(),
            status: "False".to_owned(),
            reason: REASON.to_owned(),
            message: message.to_owned(),
            last_transition_time: Time(Timestamp::now()),
            observed_generation: live.metadata.generation,
        })
    });
    kept.cloned().chain(said).collect()
}

fn api(context: &Context, invalid: &InvalidObject) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<CacheBus>(&());
    let namespace = invalid.metadata.namespace.as_deref().unwrap_or_default();
    Api::namespaced_with(context.client.clone(), namespace, &kind)
}

fn says(object: &Value, message: &str) -> bool {
    object["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition["type"] == "Valid" && condition["message"] == message)
        })
}
