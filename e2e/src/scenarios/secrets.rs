//! Generated Secrets that are edited or deleted by hand come back as they were.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_core::names::Component;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use super::Scenario;
use crate::access::entries;
use crate::bus::{Bus, READY, small};
use crate::client_pod::ClientPod;
use crate::lab::Lab;
use crate::nodes::served;
use crate::wait;

/// The operator hears of changed Secrets at once.
const LIMIT: Duration = Duration::from_secs(30);

/// Time for three Sentinels to be restarted one by one.
const ROLLED: Duration = Duration::from_mins(4);

pub const SCENARIO: Scenario = Scenario {
    name: "secrets",
    proves: "any one generated Secret, edited or deleted by hand, is back as it was; no password and no authority ever changes, and every port serves the certificate that was issued",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(
        &lab,
        &namespace,
        "bus",
        small(json!({
            "replicas": 1,
            "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
            "services": [{"name": "writer", "cache": {"write": ["agent"]}}],
        }))?,
    )
    .await?;
    let passwords = bus.access().await?.passwords;
    let names = &bus.names;
    let binding = names.binding("writer");
    let certificates = [names.operator_certificate(), names.serving_certificate()];
    let authority = certificate_authority(&bus, &certificates[0]).await?;
    let generated = [
        names.authority(),
        names.credentials(),
        names.auth(Component::Redis),
        names.auth(Component::Sentinel),
        names.acl(),
        binding.clone(),
    ];
    for secret in &generated {
        deleted(&bus, secret).await?;
        edited(&bus, secret).await?;
        bus.same_passwords(&passwords)
            .await
            .with_context(|| secret.clone())?;
        for holder in certificates.iter().chain([&binding]) {
            ensure!(
                certificate_authority(&bus, holder).await? == authority,
                "{holder} has another authority after {secret} was deleted and edited"
            );
        }
    }
    lab.note(format_args!(
        "{} Secrets deleted and edited, all as they were",
        generated.len()
    ));
    let mut sentinels = bus.pods().uids().await?;
    sentinels.retain(|pod, _| bus.sentinel_places().iter().any(|place| place.pod == *pod));
    for certificate in &certificates {
        reissued(&bus, certificate, &authority).await?;
    }
    // No engine's Sentinel takes up a new certificate while it runs: the operator restarts one after the other.
    bus.pods().await_replaced(&sentinels, ROLLED).await?;
    bus.await_ready(READY).await?;
    serves_what_was_issued(&bus).await?;
    bus.same_passwords(&passwords).await?;
    ClientPod::start(
        &lab.client,
        &namespace,
        "writer",
        &binding,
        &["first-write"],
        None,
    )
    .await?
    .output(Duration::from_mins(1))
    .await?;
    lab.note("deleted certificates are issued again, the service still writes");
    Ok(())
}

/// Each port shows the very certificate of the Secret, which the bus has said by then.
async fn serves_what_was_issued(bus: &Bus) -> anyhow::Result<()> {
    let secret = bus.names.serving_certificate();
    let issued = entries(&bus.client, &bus.names, &secret).await?;
    let issued = issued.get("tls.crt").context("no certificate")?;
    let issued = CertificateDer::from_pem_slice(issued.as_bytes())?;
    let access = bus.access().await?;
    for place in bus.data_places().iter().chain(&bus.sentinel_places()) {
        ensure!(
            served(&bus.client, &access, place).await? == issued.as_ref(),
            "{} serves another certificate than {secret} holds",
            place.pod
        );
    }
    Ok(())
}

async fn deleted(bus: &Bus, secret: &str) -> anyhow::Result<()> {
    let wanted = entries(&bus.client, &bus.names, secret).await?;
    secrets(bus)
        .delete(secret, &DeleteParams::default())
        .await?;
    back(bus, secret, &wanted)
        .await
        .context("after it was deleted")
}

/// Deletes a certificate until another is there: a pass that had read it stores it once more as it was.
async fn reissued(bus: &Bus, secret: &str, authority: &str) -> anyhow::Result<()> {
    let before = entries(&bus.client, &bus.names, secret).await?;
    wait::until(&format!("{secret} is issued anew"), LIMIT, || async {
        secrets(bus)
            .delete(secret, &DeleteParams::default())
            .await?;
        wait::until(&format!("{secret} is back"), LIMIT, || async {
            let now = certificate_authority(bus, secret).await?;
            ensure!(now == authority, "another authority");
            Ok(())
        })
        .await?;
        let now = entries(&bus.client, &bus.names, secret).await?;
        ensure!(now != before, "the same certificate is back");
        Ok(())
    })
    .await
}

/// Every entry but one is spoilt, and that one is removed.
async fn edited(bus: &Bus, secret: &str) -> anyhow::Result<()> {
    let wanted = entries(&bus.client, &bus.names, secret).await?;
    let first = wanted
        .keys()
        .next()
        .with_context(|| format!("{secret} is empty"))?;
    let spoilt: BTreeMap<&String, Option<&str>> = wanted
        .keys()
        .map(|name| (name, (name != first).then_some("c3BvaWx0")))
        .collect();
    let edit = Patch::Merge(json!({"data": spoilt}));
    secrets(bus)
        .patch(secret, &PatchParams::default(), &edit)
        .await?;
    back(bus, secret, &wanted)
        .await
        .context("after it was edited")
}

async fn back(bus: &Bus, secret: &str, wanted: &BTreeMap<String, String>) -> anyhow::Result<()> {
    wait::until(&format!("{secret} is as it was"), LIMIT, || async {
        let now = entries(&bus.client, &bus.names, secret).await?;
        let amiss: Vec<_> = wanted
            .iter()
            .filter(|(name, value)| now.get(*name) != Some(value))
            .map(|(name, _)| name)
            .collect();
        ensure!(
            amiss.is_empty() && now.len() == wanted.len(),
            "amiss: {amiss:?}"
        );
        Ok(())
    })
    .await
}

async fn certificate_authority(bus: &Bus, holder: &str) -> anyhow::Result<String> {
    entries(&bus.client, &bus.names, holder)
        .await?
        .remove("ca.crt")
        .with_context(|| format!("{holder} has no ca.crt"))
}

fn secrets(bus: &Bus) -> Api<Secret> {
    Api::namespaced(bus.client.clone(), bus.names.namespace())
}
