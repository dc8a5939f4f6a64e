//! A service that leaves the contract is gone everywhere, and its connections with it.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

use super::Scenario;
use crate::bus::{Bus, READY, small};
use crate::client_pod::ClientPod;
use crate::lab::{Lab, gone};
use crate::wait;

/// Time for users to be brought in line on every node.
const LIMIT: Duration = Duration::from_secs(30);

pub const SCENARIO: Scenario = Scenario {
    name: "removed_service",
    proves: "a service taken from the spec loses its user on every node, its open connections and its Secret; the others feel nothing",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let mut bus = Bus::ready(
        &lab,
        &namespace,
        "bus",
        small(json!({
            "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
            "services": [
                {"name": "leaving", "cache": {"write": ["agent"]}},
                {"name": "staying", "cache": {"write": ["agent"]}},
            ],
        }))?,
    )
    .await?;
    let passwords = bus.access().await?.passwords;
    let hold = async |service: &str| {
        let binding = bus.names.binding(service);
        let client =
            ClientPod::start(&lab.client, &namespace, service, &binding, &["hold"], None).await?;
        client.await_line("held", READY).await?;
        anyhow::Ok(client)
    };
    let (leaving, staying) = futures::try_join!(hold("leaving"), hold("staying"))?;

    bus.spec
        .services
        .retain(|service| service.name != "leaving");
    bus.send().await?;
    bus.await_ready(READY).await?;
    wait::until("the user is gone from every node", LIMIT, || async {
        for node in [bus.data_nodes().await?, bus.sentinel_nodes().await?]
            .into_iter()
            .flatten()
        {
            let users = node.users().await?;
            ensure!(!users.contains_key("leaving"), "{} has it", node.pod);
            ensure!(
                users.contains_key("staying"),
                "{} lacks the other",
                node.pod
            );
        }
        Ok(())
    })
    .await?;
    leaving.await_line("ended", LIMIT).await?;
    let said = staying.lines().await?;
    ensure!(
        !said.contains("ended"),
        "the other service's connection ended: {said}"
    );
    let secrets: Api<Secret> = Api::namespaced(lab.client.clone(), &namespace);
    wait::object(
        &secrets,
        &bus.names.binding("leaving"),
        "deleted",
        LIMIT,
        gone(),
    )
    .await?;
    let kept = passwords
        .into_iter()
        .filter(|(user, _)| user != "leaving")
        .collect();
    bus.same_passwords(&kept).await
}
