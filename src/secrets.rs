//! Secrets: created where there is none, and else changed only as what was read of them.
//!
//! Whoever creates a Secret second, or changes what has changed since, does not get through. So two operators at once, or
//! one that is behind, never put a second password in the place of the first.

use crate::context::Context;
use crate::error::Error;
use crate::ownership::{Owner, name_conflict, owner};
use cachebus_core::bus::Bus;
use cachebus_core::names::MANAGER;
use cachebus_core::plan::Blocked;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use std::sync::Arc;

/// What became of a Secret that was to be stored.
#[derive(Debug)]
pub enum Stored {
    /// It was there as it should be.
    Unchanged,
    /// It is there now.
    Written,
    /// What was decided rests on an older state. It must be decided anew.
    Stale,
    /// Its name is taken.
    Taken(Blocked),
}

/// A Secret of the bus, as last seen.
pub fn seen(context: &Context, bus: &Bus, name: &str) -> Option<Arc<Secret>> {
    let key = ObjectRef::new(name).within(bus.names.namespace());
    let secret = context.stores.secrets.get(&key)?;
    (owner(bus, &secret.metadata) == Owner::Ours).then_some(secret)
}

/// Stores a Secret of the bus.
pub async fn store(context: &Context, bus: &Bus, desired: &Secret) -> Result<Stored, Error> {
    let name = desired.name_any();
    let key = ObjectRef::new(&name).within(bus.names.namespace());
    let Some(current) = context.stores.secrets.get(&key) else {
        return create(context, bus, desired).await;
    };
    match owner(bus, &current.metadata) {
        Owner::Foreign(owner) => Ok(Stored::Taken(name_conflict("Secret", &name, &owner))),
        Owner::Ours if is_as(&current, desired) => Ok(Stored::Unchanged),
        Owner::Ours => change(context, bus, &current, &difference(&current, desired)).await,
    }
}

/// Deletes a Secret of the bus that nobody needs any more, if it is still as it was seen.
pub async fn delete(context: &Context, bus: &Bus, secret: &Secret) -> Result<(), Error> {
    let name = secret.name_any();
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: secret.metadata.uid.clone(),
            resource_version: secret.metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    match api(context, bus).delete(&name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::api("delete", "Secret", &name, &error)),
    }
}

async fn create(context: &Context, bus: &Bus, desired: &Secret) -> Result<Stored, Error> {
    let name = desired.name_any();
    let api = api(context, bus);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    match api.create(&params, desired).await {
        Ok(_) => return Ok(Stored::Written),
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
        Err(error) => return Err(Error::api("create", "Secret", &name, &error)),
    }
    // The watch does not show it: it is too new, or it has lost its labels, or it is not ours.
    let current = api
        .get_opt(&name)
        .await
        .map_err(|error| Error::api("get", "Secret", &name, &error))?;
    let Some(current) = current else {
        return Ok(Stored::Stale);
    };
    match owner(bus, &current.metadata) {
        Owner::Foreign(owner) => Ok(Stored::Taken(name_conflict("Secret", &name, &owner))),
        Owner::Ours if has_labels(&current.metadata, &desired.metadata) => Ok(Stored::Stale),
        Owner::Ours => {
            let labels = json!({ "metadata": metadata(&current, desired) });
            change(context, bus, &current, &labels).await?;
            Ok(Stored::Stale)
        }
    }
}

async fn change(
    context: &Context,
    bus: &Bus,
    current: &Secret,
    patch: &Value,
) -> Result<Stored, Error> {
    let name = current.name_any();
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api(context, bus)
        .patch(&name, &params, &Patch::Merge(patch))
        .await
    {
        Ok(_) => Ok(Stored::Written),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Stored::Stale),
        Err(error) => Err(Error::api("patch", "Secret", &name, &error)),
    }
}

fn api(context: &Context, bus: &Bus) -> Api<Secret> {
    Api::namespaced(context.client.clone(), bus.names.namespace())
}

fn is_as(current: &Secret, desired: &Secret) -> bool {
    current.data == desired.data
        && has_labels(&current.metadata, &desired.metadata)
        && owners(current, desired)
            == current
                .metadata
                .owner_references
                .clone()
                .unwrap_or_default()
}

fn has_labels(current: &ObjectMeta, desired: &ObjectMeta) -> bool {
    let current = current.labels.as_ref();
    desired
        .labels
        .iter()
        .flatten()
        .all(|(key, value)| current.and_then(|labels| labels.get(key)) == Some(value))
}

/// A merge patch that makes `current` as `desired`, and fails when `current` has changed.
fn difference(current: &Secret, desired: &Secret) -> Value {
    let mut data = json!(desired.data.clone().unwrap_or_default());
    for key in current.data.iter().flatten().map(|(key, _)| key) {
        if data.get(key).is_none() {
            data[key] = Value::Null;
        }
    }
    json!({ "metadata": metadata(current, desired), "data": data })
}

fn metadata(current: &Secret, desired: &Secret) -> Value {
    json!({
        "resourceVersion": current.metadata.resource_version,
        "labels": desired.metadata.labels,
        "ownerReferences": owners(current, desired),
    })
}

/// The owners that there are, with the bus among them.
fn owners(
    current: &Secret,
    desired: &Secret,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference> {
    let mut owners = current
        .metadata
        .owner_references
        .clone()
        .unwrap_or_default();
    for owner in desired.metadata.owner_references.iter().flatten() {
        if !owners.iter().any(|there| there.uid == owner.uid) {
            owners.push(owner.clone());
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::{difference, is_as};
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret;
    use kube::api::ObjectMeta;
    use serde_json::json;

    fn secret(version: &str, labels: &[(&str, &str)], data: &[(&str, &str)]) -> Secret {
        Secret {
            metadata: ObjectMeta {
                resource_version: Some(version.to_owned()),
                labels: Some(
                    labels
                        .iter()
                        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                        .collect(),
                ),
                ..ObjectMeta::default()
            },
            data: Some(
                data.iter()
                    .map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        }
    }

    #[test]
    fn foreign_labels_do_not_matter_and_own_ones_do() {
        let desired = secret("", &[("a", "1")], &[("k", "v")]);
        assert!(is_as(
            &secret("7", &[("a", "1"), ("b", "2")], &[("k", "v")]),
            &desired
        ));
        assert!(!is_as(&secret("7", &[("b", "2")], &[("k", "v")]), &desired));
        assert!(!is_as(&secret("7", &[("a", "1")], &[("k", "x")]), &desired));
    }

    #[test]
    fn a_change_names_the_version_it_rests_on_and_removes_what_is_too_much() {
        let current = secret("7", &[], &[("old", "v"), ("k", "x")]);
        let desired = secret("", &[("a", "1")], &[("k", "v")]);
        assert_eq!(
            difference(&current, &desired),
            json!({
                "metadata": {"resourceVersion": "7", "labels": {"a": "1"}, "ownerReferences": []},
                "data": {"k": "dg==", "old": null},
            })
        );
    }
}
