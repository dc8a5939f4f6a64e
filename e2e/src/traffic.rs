//! Services in the cluster that emit and handle durable events with the project's own client, and keep histories of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_e2e::deliveries::{Emission, Handling, Record, contract};
use futures::future::try_join_all;
use kube::ResourceExt as _;
use redis::Value;
use serde_json::json;

use crate::bus::Bus;
use crate::client_pod::{ClientPod, Program};
use crate::pods::restarts;
use crate::process::Process;
use crate::wait;

/// How many pods emit.
const PRODUCERS: u32 = 2;

/// What runs in the pods.
const PROGRAM: &str = "cachebus-e2e-client";

/// Which of its tasks a consumer is.
const CONSUMER: &str = "consumer";

/// Time for a pod to run, and for one that was killed to run again.
const STARTED: Duration = Duration::from_secs(90);

/// Time beyond that at full rate for the producers to have had as many events acknowledged as they are to.
const HINDERED: Duration = Duration::from_mins(5);

/// Time for the services to handle what is left. They are slower than the producers on a machine that is busy.
const DRAINED: Duration = Duration::from_mins(6);

/// How much is emitted.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// Events that have to be acknowledged, of all producers together. They go on until they are stopped.
    pub events: u32,
    /// Events a second of all producers together, when nothing hinders them.
    pub rate: u32,
}

/// A part of a spec: what a bus has to grant the services. Events that all services have acknowledged are kept for a minute, so
/// that trimming goes on while they are consumed.
pub fn granted() -> serde_json::Value {
    let consumers =
        contract::CONSUMERS.map(|service| json!({"name": service, "subscribe": [contract::GROUP]}));
    let producer = json!({"name": contract::PRODUCER, "publish": [contract::GROUP]});
    let services = [&[producer], &consumers[..]].concat();
    json!({
        "events": {"channels": [{
            "name": contract::GROUP, "events": [contract::EVENT], "durable": true, "retention": "1m",
        }]},
        "services": services,
    })
}

/// Services that run.
pub struct Traffic {
    producers: Vec<ClientPod>,
    consumers: BTreeMap<&'static str, Consumer>,
}

/// The one consumer of a service.
struct Consumer {
    pod: ClientPod,
    /// How often it was killed.
    kills: i32,
}

/// What a service did, in the order in which it did it.
#[derive(Debug, Default)]
pub struct Service {
    /// What it handled.
    pub handlings: Vec<Handling>,
    /// What its consumer counted as errors, by reason.
    pub failures: BTreeMap<String, u64>,
    /// What its consumer said before it ended, where it did so though nobody killed it.
    pub ended: Option<String>,
}

impl Traffic {
    /// Starts the services, on other nodes than `apart_from`, and waits until all are at work.
    pub async fn start(bus: &Bus, volume: Volume, apart_from: &str) -> anyhow::Result<Self> {
        let consumers = contract::CONSUMERS.map(|service| async move {
            let program = Program {
                apart_from: Some(apart_from),
                restarted: true,
                ..Program::rust(&[CONSUMER])
            };
            let pod = started(bus, service, service, program, "consuming").await?;
            anyhow::Ok((service, Consumer { pod, kills: 0 }))
        });
        let consumers = try_join_all(consumers).await?.into_iter().collect();
        let [rate, events] =
            [volume.rate, volume.events].map(|all| all.div_ceil(PRODUCERS).to_string());
        let producers = (0..PRODUCERS).map(|number| {
            let (rate, events) = (&rate, &events);
            async move {
                let number = number.to_string();
                let arguments = [
                    "producer", "--number", &number, "--rate", rate, "--events", events,
                ];
                let program = Program {
                    apart_from: Some(apart_from),
                    ..Program::rust(&arguments)
                };
                let name = format!("{}-{number}", contract::PRODUCER);
                started(bus, &name, contract::PRODUCER, program, "emitting").await
            }
        });
        Ok(Self {
            producers: try_join_all(producers).await?,
            consumers,
        })
    }

    /// Kills the consumer of a service, and waits until kubelet has started it again and it consumes.
    pub async fn kill(&mut self, service: &str) -> anyhow::Result<()> {
        let consumer = self
            .consumers
            .get_mut(service)
            .with_context(|| format!("there is no service {service}"))?;
        let before = consumer.pod.object().await?;
        let uid = before.uid().context("a pod without a UID")?;
        let all = Process::all(PROGRAM, Some(CONSUMER))?.into_iter();
        let mut own = all.filter(|process| process.is_of_pod(&uid));
        let process = own
            .next()
            .with_context(|| format!("the consumer of {service} does not run on this machine"))?;
        process.kill()?;
        consumer.kills += 1;
        let pod = &consumer.pod;
        let what = format!("the consumer of {service} is started again");
        wait::until(&what, STARTED, || async {
            let now = restarts(&pod.object().await?);
            ensure!(now > restarts(&before), "it was started again {now} times");
            Ok(())
        })
        .await?;
        pod.await_line("consuming", STARTED).await
    }

    /// Waits until the producers have had as many events acknowledged as they are to.
    pub async fn reached(&self, volume: Volume) -> anyhow::Result<()> {
        let at_full_rate = Duration::from_secs(u64::from(volume.events / volume.rate.max(1)));
        let limit = at_full_rate + HINDERED;
        let reached = self
            .producers
            .iter()
            .map(|pod| pod.await_line("reached", limit));
        try_join_all(reached).await?;
        Ok(())
    }

    /// Stops the producers. What they were told.
    pub async fn stop_producers(&self) -> anyhow::Result<Vec<Emission>> {
        let records = try_join_all(self.producers.iter().map(collected)).await?;
        let emissions = records.into_iter().flatten().map(|record| match record {
            Record::Emitted(emission) => Ok(emission),
            other => anyhow::bail!("a producer wrote {other:?}"),
        });
        emissions.collect()
    }

    /// Waits until the services have acknowledged all that the stream of a bus has.
    pub async fn drained(&self, bus: &Bus) -> anyhow::Result<()> {
        wait::until("all events are handled", DRAINED, || async {
            let primary = bus.root_of_primary().await?;
            let stream: Fields = primary
                .call(&["XINFO", "STREAM", contract::STREAM])
                .await?;
            let newest: String = field(&stream, "last-generated-id")?;
            let groups: Vec<Fields> = primary
                .call(&["XINFO", "GROUPS", contract::STREAM])
                .await?;
            for service in contract::CONSUMERS {
                let mut groups = groups.iter();
                let named = |group: &&Fields| {
                    field::<String>(group, "name").is_ok_and(|name| name == service)
                };
                let group = groups
                    .find(named)
                    .with_context(|| format!("{service} has no group"))?;
                let delivered: String = field(group, "last-delivered-id")?;
                let pending: u64 = field(group, "pending")?;
                ensure!(
                    delivered == newest && pending == 0,
                    "{service} was handed out events up to {delivered} of {newest} and has {pending} to acknowledge"
                );
            }
            Ok(())
        })
        .await
    }

    /// Stops all services and removes their pods. What the consumers did.
    pub async fn stop(self) -> anyhow::Result<BTreeMap<&'static str, Service>> {
        let mut services = BTreeMap::new();
        for (name, Consumer { pod, kills }) in self.consumers {
            let mut service = Service::of(collected(&pod).await?);
            let starts = restarts(&pod.object().await?);
            if starts != kills {
                let said = pod.former_lines().await.unwrap_or_default();
                service.ended = Some(format!(
                    "killed {kills} times and started again {starts} times; before the last of them it said: {said}"
                ));
            }
            services.insert(name, service);
            pod.end().await?;
        }
        for pod in self.producers {
            pod.end().await?;
        }
        Ok(services)
    }
}

impl Service {
    fn of(records: Vec<Record>) -> Self {
        let mut service = Self::default();
        for record in records {
            match record {
                Record::Handled(handling) => service.handlings.push(handling),
                Record::Failed(failure) => {
                    *service.failures.entry(failure.reason).or_default() += failure.events;
                }
                // No consumer emits.
                Record::Emitted(_) => {}
            }
        }
        service
    }
}

/// A client that has said that it is at work.
async fn started(
    bus: &Bus,
    name: &str,
    service: &str,
    program: Program<'_>,
    word: &str,
) -> anyhow::Result<ClientPod> {
    let (namespace, binding) = (bus.names.namespace(), bus.names.binding(service));
    let pod = Box::pin(ClientPod::run(
        &bus.client,
        namespace,
        name,
        &binding,
        program,
    ))
    .await?;
    let at_work = pod.await_line(word, STARTED).await;
    at_work.with_context(|| format!("the client {name}"))?;
    Ok(pod)
}

/// Stops the program of a pod. What it wrote down.
async fn collected(pod: &ClientPod) -> anyhow::Result<Vec<Record>> {
    let printed = match Box::pin(pod.exec(&["/cachebus-e2e-client", "collect"])).await {
        Ok(printed) => printed,
        Err(error) => {
            // One that has ended by itself has said why.
            let said = pod.lines().await.unwrap_or_default();
            return Err(error.context(format!("it said: {said}")));
        }
    };
    let lines = printed.lines();
    lines
        .map(|line| serde_json::from_str(line).with_context(|| format!("the line {line}")))
        .collect()
}

/// What `XINFO` tells of one thing.
type Fields = BTreeMap<String, Value>;

fn field<T: redis::FromRedisValue>(fields: &Fields, name: &str) -> anyhow::Result<T> {
    let value = fields.get(name).cloned();
    let value = value.with_context(|| format!("XINFO tells no {name}"))?;
    redis::from_redis_value(value).with_context(|| name.to_owned())
}
