//! What becomes of durable events while consumers and the primary die, move and stand still.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_api::CacheBusSpec;
use cachebus_api::settings::Durability;
use cachebus_e2e::deliveries::{Emission, Verdict, check, contract};
use cachebus_e2e::history::{self, Gap, Micros};
use serde_json::json;

use super::Scenario;
use super::drain::everywhere;
use crate::bus::{Bus, merge, small};
use crate::faults::{self, Fault};
use crate::lab::Lab;
use crate::traffic::{self, Service, Traffic, Volume};

/// Time for a bus to be well again.
const WELL: Duration = Duration::from_mins(4);

pub const SCENARIO: Scenario = Scenario {
    name: "events",
    proves: "of 10,000 durable events under `durability: Quorum`, while a consumer is killed, the primary is killed and the lead is moved, each of three services handles every one that was acknowledged, and those of a key in their order; with `--long` 200,000, with a consumer of each service killed, pods deleted, the primary's node paused and a rollout, and as many again by default, where what is lost is told",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

/// What happens during a run.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The consumer of this service gets SIGKILL, and is started again.
    Killed(&'static str),
    /// Something befalls the primary.
    Befallen(Fault),
}

use Happening::{Befallen, Killed};

/// How one run goes.
struct Plan {
    volume: Volume,
    happenings: &'static [Happening],
}

const SHORT: Plan = Plan {
    volume: Volume {
        events: 10_000,
        rate: 500,
    },
    happenings: &[
        Killed(contract::CONSUMERS[0]),
        Befallen(Fault::Kill),
        Befallen(Fault::Switchover),
    ],
};

const LONG: Plan = Plan {
    volume: Volume {
        events: 200_000,
        rate: 1_000,
    },
    happenings: &[
        Killed(contract::CONSUMERS[0]),
        Befallen(Fault::Kill),
        Befallen(Fault::ForceDelete),
        Killed(contract::CONSUMERS[1]),
        Befallen(Fault::Sigterm),
        Befallen(Fault::Switchover),
        Befallen(Fault::Pause),
        Killed(contract::CONSUMERS[2]),
        Befallen(Fault::Rollout),
    ],
};

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Killed(service) => write!(f, "the consumer of {service} killed"),
            Befallen(fault) => write!(f, "{fault:?}"),
        }
    }
}

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let plan = if lab.long { &LONG } else { &SHORT };
    let bus = Box::pin(events(&lab, &namespace, Durability::Quorum, plan)).await?;
    if lab.long {
        bus.delete().await?;
        let namespace = lab.another_namespace("async").await?;
        Box::pin(events(&lab, &namespace, Durability::Async, plan)).await?;
    }
    Ok(())
}

/// A bus with a copy on each node: one that stands still takes no majority with it. Its memory would hold all events of a run.
fn spec(durability: Durability) -> anyhow::Result<CacheBusSpec> {
    let mut spec = everywhere(traffic::granted());
    merge(
        &mut spec,
        json!({
            "memory": {"max": "256Mi", "policy": "volatile-lru"},
            "resources": {"limits": {"memory": "448Mi"}},
            "storage": {"size": "1Gi"},
            "replication": {"durability": durability, "backlogSize": "32Mi"},
            "pods": {"spread": "Required"},
        }),
    );
    small(spec)
}

/// One run on a new bus, which is left as it is then.
async fn events(
    lab: &Lab,
    namespace: &str,
    durability: Durability,
    plan: &Plan,
) -> anyhow::Result<Bus> {
    let bus = Bus::ready(lab, namespace, "bus", spec(durability)?).await?;
    let on_workers = faults::on_workers(&bus).await?;
    let to_stand_still = on_workers.first().context("no data pod is on a worker")?;
    let apart_from = faults::node_of(&bus, to_stand_still).await?;
    let mut traffic = Traffic::start(&bus, plan.volume, &apart_from).await?;
    let mut timeline = Timeline::default();
    let went = async {
        for happening in plan.happenings {
            let done = happening.happen(&bus, &mut traffic, to_stand_still).await;
            let how = done.with_context(|| happening.to_string())?;
            timeline.0.push((*happening, history::now()));
            lab.note(format_args!("{durability:?}, {happening}: {how}"));
        }
        traffic.reached(plan.volume).await
    };
    let went = Box::pin(went).await;
    let drains = went.is_ok().then_some(&bus);
    let told = Box::pin(tell(lab, durability, traffic, drains, &timeline)).await;
    // What came of a run that failed is told before it is given up.
    went.with_context(|| format!("{durability:?}"))?;
    let events = u64::from(plan.volume.events);
    for (service, (verdict, did)) in told? {
        let never = verdict.impossible();
        ensure!(never.is_empty(), "{service}: {never:?}");
        ensure!(
            did.ended.is_none(),
            "{service}: its consumer was {:?}",
            did.ended
        );
        let dead = did.failures.get("dead_letter");
        ensure!(
            dead.is_none(),
            "{service}: {dead:?} events are dead letters"
        );
        ensure!(
            verdict.acknowledged >= events,
            "{} events were acknowledged, {events} were to be",
            verdict.acknowledged
        );
        ensure!(
            verdict.lost.is_empty() || durability == Durability::Async,
            "{service}: {} acknowledged events are lost: {:?}",
            verdict.lost.len(),
            timeline.losses(&verdict)
        );
    }
    Ok(bus)
}

/// Ends the services and tells what came of the events. `drains`: the bus, where all that is left is to be handled before.
async fn tell(
    lab: &Lab,
    durability: Durability,
    traffic: Traffic,
    drains: Option<&Bus>,
    timeline: &Timeline,
) -> anyhow::Result<BTreeMap<&'static str, (Verdict, Service)>> {
    let stopped = history::now();
    let emissions = traffic.stop_producers().await?;
    note_emissions(lab, durability, &emissions, timeline);
    let drained = match drains {
        Some(bus) => traffic.drained(bus).await,
        None => Ok(()),
    };
    lab.note(format_args!(
        "{durability:?}: the services went on for {:.1} s after the producers",
        seconds(history::now() - stopped)
    ));
    let mut outcomes = BTreeMap::new();
    for (name, service) in traffic.stop().await? {
        let verdict = check(&emissions, &service.handlings);
        let of = format!("{durability:?}, {name}");
        note_service(lab, &of, &service, &verdict, timeline);
        outcomes.insert(name, (verdict, service));
    }
    drained?;
    Ok(outcomes)
}

impl Happening {
    /// Waits until the bus is well, does it, and waits until all is well again; what there is to be told of it. `to_stand_still`:
    /// the data pod whose node has no client on it.
    async fn happen(
        self,
        bus: &Bus,
        traffic: &mut Traffic,
        to_stand_still: &str,
    ) -> anyhow::Result<String> {
        faults::rested(bus).await?;
        let mut primary = faults::healthy(bus, WELL).await?;
        let takes_the_node = matches!(self, Befallen(fault) if fault.takes_the_node());
        if takes_the_node && primary != to_stand_still {
            faults::move_to(bus, to_stand_still).await?;
            primary = to_stand_still.to_owned();
        }
        let began = history::now();
        let told = match self {
            Killed(service) => {
                traffic.kill(service).await?;
                "it consumes again".to_owned()
            }
            Befallen(fault) => {
                fault.befall(bus, &primary).await?;
                let leads = faults::healthy(bus, WELL).await?;
                format!("{primary} led, {leads} leads and all is well")
            }
        };
        let seconds = seconds(history::now() - began);
        Ok(format!("{told} {seconds:.1} s later"))
    }
}

/// What happened, and when all was well after it.
#[derive(Default)]
struct Timeline(Vec<(Happening, Micros)>);

impl Timeline {
    /// What happened next, or was happening, at a moment.
    fn around(&self, moment: Micros) -> String {
        let mut later = self.0.iter().filter(|(_, over)| *over >= moment);
        let next = later.next().map(|(happening, _)| happening.to_string());
        next.unwrap_or_else(|| "after all of it".to_owned())
    }

    /// How many acknowledged events were lost by what.
    fn losses(&self, verdict: &Verdict) -> BTreeMap<String, u64> {
        let mut losses = BTreeMap::new();
        for acknowledged in verdict.lost.values() {
            *losses.entry(self.around(*acknowledged)).or_default() += 1;
        }
        losses
    }

    /// The longest time between two of these moments.
    fn silence(&self, moments: impl Iterator<Item = Micros>) -> String {
        let gap = Gap::longest(moments);
        format!(
            "{:.1} s at most ({})",
            seconds(gap.to.saturating_sub(gap.from)),
            self.around(gap.from)
        )
    }
}

fn note_emissions(lab: &Lab, durability: Durability, emissions: &[Emission], timeline: &Timeline) {
    let acknowledged = emissions.iter().filter(|emission| emission.acknowledged);
    let moments: Vec<Micros> = acknowledged.map(|emission| emission.ended).collect();
    let first = moments.iter().min().copied().unwrap_or_default();
    let last = moments.iter().max().copied().unwrap_or_default();
    let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, attempts) in emissions.iter().flat_map(|emission| &emission.failures) {
        *failures.entry(kind).or_default() += attempts;
    }
    lab.note(format_args!(
        "{durability:?}: {} events, {} acknowledged in {:.0} s, none for {}; calls that failed: {failures:?}",
        emissions.len(),
        moments.len(),
        seconds(last - first),
        timeline.silence(moments.iter().copied()),
    ));
}

fn note_service(lab: &Lab, name: &str, service: &Service, verdict: &Verdict, timeline: &Timeline) {
    let moments = service.handlings.iter().map(|handling| handling.ended);
    lab.note(format_args!(
        "{name}: {verdict}; none handled for {}; the consumer counted {:?}",
        timeline.silence(moments),
        service.failures
    ));
    if let Some((event, acknowledged)) = verdict.lost.first_key_value() {
        lab.note(format_args!(
            "{name}: lost by {:?}, among them {event}, acknowledged at {:.3} s of the machine's clock",
            timeline.losses(verdict),
            seconds(*acknowledged)
        ));
    }
}

fn seconds(micros: Micros) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use cachebus_e2e::deliveries::EventId;

    use super::*;

    fn timeline() -> Timeline {
        Timeline(vec![
            (Befallen(Fault::Kill), 100),
            (Befallen(Fault::Pause), 200),
        ])
    }

    #[test]
    fn what_is_lost_is_put_down_to_what_ended_next_after_it_was_acknowledged() {
        let lost = ["evt_0-0-0", "evt_0-0-1", "evt_0-0-2", "evt_0-0-3"];
        let lost = lost.iter().filter_map(|id| id.parse::<EventId>().ok());
        let verdict = Verdict {
            lost: lost.zip([50, 99, 150, 300]).collect(),
            ..Verdict::default()
        };
        let expected = [("Kill", 2), ("Pause", 1), ("after all of it", 1)];
        let expected = expected.map(|(what, events)| (what.to_owned(), events));
        assert_eq!(timeline().losses(&verdict), BTreeMap::from(expected));
    }

    #[test]
    fn a_silence_is_put_down_to_what_ended_next_after_it_began() {
        let moments = [10, 20, 2_000_120, 2_000_130];
        assert_eq!(
            timeline().silence(moments.into_iter()),
            "2.0 s at most (Kill)"
        );
    }
}
