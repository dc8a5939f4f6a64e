//! A bus whose object cannot be read: said on that object, and of no consequence for any other.

use super::Next;
use crate::context::Context;
use crate::error::Error;
use crate::events;
use cachebus_api::CacheBus;
use cachebus_core::events::EventDraft;
use cachebus_core::names::MANAGER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use serde_json::{Value, json};

const REASON: &str = "Undecodable";

/// Says why an object cannot be read, in its status and by an Event, once for each reason.
pub async fn report(context: &Context, invalid: &InvalidObject) -> Result<Next, Error> {
    let object: DeserializeGuard<CacheBus> = DeserializeGuard(Err(invalid.clone()));
    let name = object.name_any();
    let kind = ApiResource::erase::<CacheBus>(&());
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &namespace, &kind);
    let live = api
        .get_opt(&name)
        .await
        .map_err(|error| Error::api("get", "CacheBus", &name, &error))?;
    let Some(live) = live.filter(|live| live.metadata.deletion_timestamp.is_none()) else {
        return Ok(Next::OnChange);
    };
    let message = format!("the object cannot be read: {}", invalid.error);
    if says(&live.data, &message) {
        return Ok(Next::OnChange);
    }
    tracing::warn!(
        namespace,
        name,
        error = invalid.error,
        "an object cannot be read"
    );
    let generation = live.metadata.generation;
    let conditions = ["Ready", "Valid"].map(|type_| Condition {
        type_: type_.to_owned(),
        status: "False".to_owned(),
        reason: REASON.to_owned(),
        message: message.clone(),
        last_transition_time: Time(Timestamp::now()),
        observed_generation: generation,
    });
    let patch = json!({"status": {"conditions": conditions}});
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    api.patch_status(&name, &params, &Patch::Merge(&patch))
        .await
        .map_err(|error| Error::api("patch", "CacheBus", &name, &error))?;
    let draft = EventDraft {
        warning: true,
        reason: REASON.to_owned(),
        action: "Decode".to_owned(),
        note: message,
    };
    events::publish(context, &object, vec![draft]).await;
    Ok(Next::OnChange)
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
