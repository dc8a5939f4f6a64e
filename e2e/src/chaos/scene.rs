//! Where a fault happens.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use redis::FromRedisValue;

use super::small_disk::SmallDisk;
use crate::bus::Bus;
use crate::faults;
use crate::lab::Lab;
use crate::nodes::Place;
use crate::process::Process;
use crate::wait;

/// Time for what is waited for within a fault.
const LIMIT: Duration = Duration::from_mins(2);

/// Time for a server that was killed to be started again.
const STARTED: Duration = Duration::from_secs(40);

/// A bus that is well and under load, and what a fault needs to befall it.
pub struct Scene {
    pub lab: Lab,
    pub bus: Bus,
    /// Who led when it began.
    pub primary: String,
    /// What is left to chance in a fault is drawn by it.
    pub seed: u64,
    /// The disk under the volume of one pod, where the fault asked for one.
    pub disk: Option<SmallDisk>,
}

impl Scene {
    /// The data pods that followed when it began.
    pub fn replicas(&self) -> Vec<String> {
        let places = self.bus.data_places().into_iter();
        let pods = places.map(|place| place.pod);
        pods.filter(|pod| *pod != self.primary).collect()
    }

    /// One of them.
    pub fn replica(&self) -> anyhow::Result<String> {
        let mut replicas = self.replicas();
        ensure!(!replicas.is_empty(), "the bus has no replica");
        let chosen = self.seed % u64::try_from(replicas.len())?;
        Ok(replicas.remove(usize::try_from(chosen)?))
    }

    /// The small disk.
    pub fn small_disk(&self) -> anyhow::Result<&SmallDisk> {
        self.disk.as_ref().context("no pod has a small disk")
    }

    /// The Sentinels' pods.
    pub fn sentinels(&self) -> Vec<String> {
        let places = self.bus.sentinel_places().into_iter();
        places.map(|place| place.pod).collect()
    }

    /// A time between nothing and this, by the seed.
    pub fn within(&self, limit: Duration) -> Duration {
        limit.mul_f64(fastrand::Rng::with_seed(self.seed).f64())
    }

    /// The address of each pod.
    pub async fn addresses(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let pods = self.bus.pods().list().await?.into_iter();
        let known = pods.filter_map(|pod| Some((pod.name_any(), pod.status?.pod_ip?)));
        Ok(known.collect())
    }

    /// The address of one.
    pub async fn address(&self, pod: &str) -> anyhow::Result<String> {
        let address = self.addresses().await?.remove(pod);
        address.with_context(|| format!("{pod} has no address"))
    }

    /// The node of a pod.
    pub async fn node(&self, pod: &str) -> anyhow::Result<String> {
        faults::node_of(&self.bus, pod).await
    }

    /// The process of the server in a data pod, or of the Sentinel in a Sentinel's pod.
    pub async fn server(&self, pod: &str) -> anyhow::Result<Process> {
        faults::server(&self.bus, &faults::uid(&self.bus, pod).await?)
    }

    /// The same once it runs.
    pub async fn started(&self, pod: &str) -> anyhow::Result<Process> {
        wait::until(&format!("the server of {pod} runs"), STARTED, || {
            self.server(pod)
        })
        .await
    }

    /// Kills a pod's server.
    pub async fn crash(&self, pod: &str) -> anyhow::Result<()> {
        self.started(pod).await?.kill()
    }

    /// Runs a command on a pod as a user who may do everything.
    pub async fn typed<T: FromRedisValue>(&self, pod: &str, command: &[&str]) -> anyhow::Result<T> {
        self.bus.on(&self.place(pod)?, command).await
    }

    /// Where a pod of the bus listens.
    pub fn place(&self, pod: &str) -> anyhow::Result<Place> {
        let places = [self.bus.data_places(), self.bus.sentinel_places()].concat();
        let place = places.into_iter().find(|place| place.pod == pod);
        place.with_context(|| format!("{pod} is no pod of the bus"))
    }

    /// Replaces a pod by force, perhaps with an empty volume, and waits until it is ready.
    pub async fn replace(&self, pod: &str, empty: bool) -> anyhow::Result<()> {
        let uid = faults::uid(&self.bus, pod).await?;
        if empty {
            self.bus.drop_volume(pod).await?;
        }
        let pods = self.bus.pods();
        pods.kill_one(pod).await?;
        let before = BTreeMap::from([(pod.to_owned(), uid)]);
        pods.await_replaced(&before, LIMIT).await
    }

    /// Waits until another pod is recorded as the primary than when it began.
    pub async fn moved(&self) -> anyhow::Result<String> {
        wait::until("the primary has moved", LIMIT, || async {
            let now = self.bus.primary().await?;
            ensure!(now != self.primary, "it is still {now}");
            Ok(now)
        })
        .await
    }
}
