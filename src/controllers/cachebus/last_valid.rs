//! The bus by the last spec that could be carried out.

use crate::context::Context;
use crate::error::Error;
use crate::ownership::{Owner, owner_of};
use cachebus_core::bus::Bus;
use cachebus_core::last_valid::restore;
use cachebus_core::names::{LAST_VALID, Names};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;

/// The bus by the last spec that could be carried out, as this process remembers it or as it is kept beside the bus. `None`:
/// there was none.
pub async fn last_valid(context: &Context, bus: &ObjectMeta) -> Result<Option<Arc<Bus>>, Error> {
    let namespace = bus.namespace.as_deref().unwrap_or_default();
    let name = bus.name.as_deref().unwrap_or_default();
    let uid = bus.uid.as_deref().unwrap_or_default();
    let memory = &context.memory;
    let remembered = memory.with(namespace, name, uid, |remembered| remembered.valid.clone());
    if remembered.is_some() {
        return Ok(remembered);
    }
    let names = Names::new(name, namespace, &context.platform.domain);
    let Some(text) = kept(context, &names, uid).await? else {
        return Ok(None);
    };
    match restore(&text, bus, &context.platform) {
        Ok(restored) => {
            tracing::info!(namespace, name, "goes by the last valid spec");
            let restored = Arc::new(restored);
            memory.with(namespace, name, uid, |remembered| {
                remembered.valid = Some(Arc::clone(&restored));
            });
            Ok(Some(restored))
        }
        Err(error) => {
            let reason = error.reason();
            tracing::warn!(namespace, name, reason, %error, "the last valid spec is of no use");
            Ok(None)
        }
    }
}

/// What is kept beside a bus. Only the metadata of ConfigMaps is watched: this is read when it is needed.
async fn kept(context: &Context, names: &Names, uid: &str) -> Result<Option<String>, Error> {
    let name = names.last_valid();
    let key = ObjectRef::new(&name).within(names.namespace());
    if context.stores.config_maps.get(&key).is_none() {
        return Ok(None);
    }
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), names.namespace());
    let found = api
        .get_opt(&name)
        .await
        .map_err(|error| Error::api("get", "ConfigMap", &name, &error))?;
    Ok(found
        .filter(|found| owner_of(names.bus(), uid, &found.metadata) == Owner::Ours)
        .and_then(|found| found.data?.remove(LAST_VALID)))
}
