//! Safe restart: the API server answers nothing while every process of a bus and of the operator dies.

use std::time::Duration;

use anyhow::ensure;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, small};
use crate::keys;
use crate::lab::Lab;
use crate::process::{Process, Suspended};
use crate::wait;

/// How long the API server answers nothing; kubelet replaces it when it has not answered for longer.
const AWAY: Duration = Duration::from_secs(45);

/// Time for a bus to be Ready again once the API server answers.
const BACK: Duration = Duration::from_mins(2);

pub const SCENARIO: Scenario = Scenario {
    name: "api_server_away",
    proves: "the API server hangs while every agent and operator process is killed: containers come back without it, operators wait for it, no key is lost",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(keys::spec())?).await?;
    keys::load(&lab, &bus, keys::some(&lab)).await?;
    let restarts = lab.operator.restarts().await?;
    let pods = bus.pods().uids().await?;

    let api_server = Suspended::all(Process::all("kube-apiserver", None)?)?;
    for operator in Process::all("cachebus", Some("operator"))? {
        operator.kill()?;
    }
    for agent in Process::agents(pods.values())? {
        agent.kill()?;
    }
    tokio::time::sleep(AWAY).await;
    drop(api_server);

    let answers = std::time::Instant::now();
    let killed = restarts + lab.operator.replicas;
    wait::until("kubelets tell of the restarts", BACK, || async {
        let now = lab.operator.restarts().await?;
        ensure!(now >= killed, "{} are told of", now - restarts);
        Ok(())
    })
    .await?;
    lab.operator.await_ready().await?;
    lab.note(format_args!(
        "operators ready {:.1} s after the API server answers again",
        answers.elapsed().as_secs_f64()
    ));
    bus.await_ready(BACK).await?;
    lab.note(format_args!(
        "the bus ready {:.1} s after the API server answers again",
        answers.elapsed().as_secs_f64()
    ));
    ensure!(bus.pods().uids().await? == pods, "a pod was replaced");
    let ended = lab.operator.restarts().await? - killed;
    ensure!(ended == 0, "operators ended {ended} times by themselves");
    agreement::check(&bus).await?;
    keys::verify(&lab, &bus, keys::some(&lab)).await
}
