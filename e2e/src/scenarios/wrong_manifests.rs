//! Wrong manifests are refused with the field's path, and hurt nobody else.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_api::CacheBus;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Resource as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, is_ready, merge, small};
use crate::lab::Lab;
use crate::operator::Operator;
use crate::wait;

const MANIFESTS: &str = include_str!("../../manifests/wrong.yaml");

/// Time for the operator to say what it thinks of a bus.
const LIMIT: Duration = Duration::from_secs(30);

/// Of a field whose type is loosened for a moment, so that a shape gets past the API server which the operator cannot read.
const LOOSENED: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/connections/properties/maxClients";

pub const SCENARIO: Scenario = Scenario {
    name: "wrong_manifests",
    proves: "every wrong manifest is refused at admission or by a condition, with the field's path; none of them, nor one that cannot be decoded, stops the operator or another bus",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

/// Wrong manifests, as changes of one that is well.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifests {
    base: Value,
    cases: Vec<Wrong>,
}

/// One wrong manifest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wrong {
    name: String,
    #[serde(default)]
    metadata: Metadata,
    /// What it changes of the base.
    #[serde(default)]
    spec: Value,
    /// What an object that is there already changes of the base: the manifest is an update of that.
    from: Option<Value>,
    refused_by: RefusedBy,
    /// What the refusal has to say, the field's path among it.
    mentions: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    /// Where the name is what is wrong.
    name: Option<String>,
}

/// Who refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum RefusedBy {
    /// The API server, by schema or CEL.
    Admission,
    /// The operator, by the condition `Valid`.
    Condition,
}

async fn run(lab: Lab) -> anyhow::Result<()> {
    let Manifests { base, cases } =
        serde_saphyr::from_str(MANIFESTS).context("manifests/wrong.yaml")?;
    ensure!(cases.len() >= 40, "only {} wrong manifests", cases.len());
    let namespace = lab.namespace().await?;
    let good = Bus::ready(&lab, &namespace, "good", small(json!({"replicas": 1}))?).await?;
    let before = Standing::of(&lab.operator, &good).await?;
    let mut amiss = Vec::new();
    for wrong in &cases {
        if let Err(error) = refused(&lab, &namespace, &base, wrong).await {
            amiss.push(format!("{}: {error:#}", wrong.name));
        }
    }
    ensure!(
        amiss.is_empty(),
        "{} of {}:\n  {}",
        amiss.len(),
        cases.len(),
        amiss.join("\n  ")
    );
    let by_condition = cases
        .iter()
        .filter(|wrong| wrong.refused_by == RefusedBy::Condition)
        .count();
    lab.note(format_args!(
        "{} refused at admission, {by_condition} by a condition",
        cases.len() - by_condition
    ));
    undecodable(&lab, &namespace).await?;
    lab.note("one that cannot be decoded is an error on that object alone");
    let after = Standing::of(&lab.operator, &good).await?;
    ensure!(before == after, "before {before:?}, after {after:?}");
    agreement::check(&good).await?;
    good.still_reconciled().await
}

/// What wrong manifests must not change.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    operator_restarts: i32,
    ready: bool,
}

impl Standing {
    async fn of(operator: &Operator, good: &Bus) -> anyhow::Result<Self> {
        Ok(Self {
            operator_restarts: operator.restarts().await?,
            ready: is_ready(&good.object().await?),
        })
    }
}

async fn refused(lab: &Lab, namespace: &str, base: &Value, wrong: &Wrong) -> anyhow::Result<()> {
    let api = buses(lab, namespace);
    let name = wrong.metadata.name.as_ref().unwrap_or(&wrong.name);
    if let Some(from) = &wrong.from {
        let there = object(name, namespace, &merged(base, from))?;
        api.create(&PostParams::default(), &there)
            .await
            .context("what it is an update of")?;
    }
    let manifest = Patch::Apply(object(name, namespace, &merged(base, &wrong.spec))?);
    // Fields of an object that is there are taken over, as `kubectl apply` takes over its own.
    let sent = api
        .patch(name, &PatchParams::apply("e2e").force(), &manifest)
        .await;
    let judged = match (&sent, wrong.refused_by) {
        (Err(kube::Error::Api(refusal)), RefusedBy::Admission) => mentions(wrong, &refusal.message),
        (Ok(_), RefusedBy::Condition) => invalid(lab, namespace, wrong).await,
        (Ok(_), RefusedBy::Admission) => Err(anyhow::anyhow!("admission let it in")),
        (Err(error), _) => Err(anyhow::anyhow!("{error}")),
    };
    if sent.is_ok() || wrong.from.is_some() {
        api.delete(name, &DeleteParams::default()).await?;
    }
    judged
}

async fn invalid(lab: &Lab, namespace: &str, wrong: &Wrong) -> anyhow::Result<()> {
    let api: Api<CacheBus> = Api::namespaced(lab.client.clone(), namespace);
    wait::until("Valid=False", LIMIT, || async {
        let status = api
            .get(&wrong.name)
            .await?
            .status
            .context("it has no status")?;
        let valid = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Valid");
        let valid = valid.context("it has no condition Valid")?;
        ensure!(
            valid.status == "False",
            "it is {}: {}",
            valid.status,
            valid.message
        );
        mentions(wrong, &valid.message)
    })
    .await
}

/// Case is of no matter: API servers begin sentences as they like.
fn mentions(wrong: &Wrong, words: &str) -> anyhow::Result<()> {
    let said = words.to_lowercase();
    for wanted in &wrong.mentions {
        ensure!(
            said.contains(&wanted.to_lowercase()),
            "{wanted:?} is not in {words:?}"
        );
    }
    Ok(())
}

fn merged(base: &Value, changes: &Value) -> Value {
    let mut spec = base.clone();
    if changes.is_object() {
        merge(&mut spec, changes.clone());
    }
    spec
}

/// A bus whose `maxClients` is a word. It is written while the schema lets it be, which is put back afterwards.
async fn undecodable(lab: &Lab, namespace: &str) -> anyhow::Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(lab.client.clone());
    let name = format!("{}.{}", CacheBus::plural(&()), CacheBus::group(&()));
    let strict = serde_json::to_value(definitions.get(&name).await?)?;
    let strict = strict
        .pointer(LOOSENED)
        .context("the schema has no maxClients")?
        .clone();
    schema(
        &definitions,
        &name,
        json!({"x-kubernetes-int-or-string": true}),
    )
    .await?;
    let written = wait::until("the loosened schema is served", LIMIT, || async {
        let spec = json!({"connections": {"maxClients": "many"}});
        let object = object("undecodable", namespace, &spec)?;
        buses(lab, namespace)
            .create(&PostParams::default(), &object)
            .await?;
        Ok(())
    })
    .await;
    let said = match written {
        Ok(()) => reported(lab, namespace, "undecodable").await,
        Err(error) => Err(error),
    };
    let removed = buses(lab, namespace)
        .delete("undecodable", &DeleteParams::default())
        .await;
    schema(&definitions, &name, strict).await?;
    removed?;
    said
}

/// The operator says on the object itself that it cannot be read.
async fn reported(lab: &Lab, namespace: &str, name: &str) -> anyhow::Result<()> {
    wait::until(
        "the operator says that it cannot be decoded",
        LIMIT,
        || async {
            let object = buses(lab, namespace).get(name).await?;
            let conditions = &object.data["status"]["conditions"];
            let said = conditions
                .as_array()
                .into_iter()
                .flatten()
                .any(|condition| {
                    condition["type"] == "Ready"
                        && condition["status"] == "False"
                        && condition["reason"] == "Undecodable"
                });
            ensure!(said, "its conditions are {conditions}");
            Ok(())
        },
    )
    .await
}

async fn schema(
    definitions: &Api<CustomResourceDefinition>,
    name: &str,
    field: Value,
) -> anyhow::Result<()> {
    let patch = json!([{"op": "replace", "path": LOOSENED, "value": field}]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
    definitions
        .patch(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

fn object(name: &str, namespace: &str, spec: &Value) -> anyhow::Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": CacheBus::api_version(&()),
        "kind": CacheBus::kind(&()),
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }))?)
}

/// Buses of any shape.
fn buses(lab: &Lab, namespace: &str) -> Api<DynamicObject> {
    let kind = kube::core::ApiResource::erase::<CacheBus>(&());
    Api::namespaced_with(lab.client.clone(), namespace, &kind)
}
