//! Every service does exactly what its contract allows. The whole matrix, not examples.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_api::contract::Service;
use cachebus_core::names::Component;
use cachebus_e2e::cells::Walk;
use serde_json::json;

use super::{Scenario, sample};
use crate::bus::{Bus, small};
use crate::client_pod::ClientPod;
use crate::lab::Lab;
use crate::nodes::differing;
use crate::oracle::{Catalogue, Oracle, attempts};
use crate::wait;

/// Time for one service's walk.
const LIMIT: Duration = Duration::from_mins(4);

/// Surprises that are printed; the rest is counted.
const SHOWN: usize = 12;

pub const SCENARIO: Scenario = Scenario {
    name: "contract",
    proves: "with nothing but its Secret each service of the sample does what its contract allows, through the Service and through Sentinel, and gets NOPERM for all else",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let sample = sample::sample()?.spec;
    let contract =
        json!({"cache": sample.cache, "events": sample.events, "services": sample.services});
    let bus = Bus::ready(&lab, &namespace, "bus", small(contract)?).await?;
    walk(&lab, &bus, 1).await
}

/// Walks the whole matrix of each service of a bus or, in the short form, of every `stride`-th.
pub async fn walk(lab: &Lab, bus: &Bus, stride: usize) -> anyhow::Result<()> {
    let (first, stride) = lab.cases(stride)?;
    same_users_everywhere(bus).await?;
    let servers = catalogue(bus, Component::Redis).await?;
    let sentinels = catalogue(bus, Component::Sentinel).await?;
    for service in bus.spec.services.iter().skip(first).step_by(stride) {
        one(lab, bus, service, &servers, &sentinels)
            .await
            .with_context(|| format!("service {}", service.name))?;
    }
    Ok(())
}

async fn one(
    lab: &Lab,
    bus: &Bus,
    service: &Service,
    servers: &Catalogue,
    sentinels: &Catalogue,
) -> anyhow::Result<()> {
    let oracle = Oracle::new(&bus.spec, service);
    let cells = attempts(&oracle, servers, sentinels);
    let input = serde_json::to_string(&cells)?;
    let namespace = bus.names.namespace();
    let binding = bus.names.binding(&service.name);
    let name = binding.trim_start_matches("client-");
    let walk: Walk = ClientPod::start(
        &lab.client,
        namespace,
        name,
        &binding,
        &["matrix"],
        Some(input),
    )
    .await?
    .answer(LIMIT)
    .await?;
    ensure!(
        walk.attempts == cells.len(),
        "{} of {} attempts",
        walk.attempts,
        cells.len()
    );
    let shown: Vec<String> = walk
        .surprises
        .iter()
        .take(SHOWN)
        .map(|surprise| {
            let cell = &surprise.cell;
            format!(
                "{} ({:?}, {:?}) expected {:?}, got {:?} {}",
                cell.command.join(" "),
                cell.about,
                cell.way,
                cell.expected,
                surprise.got,
                surprise.words
            )
        })
        .collect();
    ensure!(
        shown.is_empty(),
        "{} surprises of {}, such as:\n  {}",
        walk.surprises.len(),
        walk.attempts,
        shown.join("\n  ")
    );
    let categories = servers.by_category(|command| oracle.may_run(Component::Redis, command));
    let categories: Vec<String> = categories
        .iter()
        .map(|(category, (all, mine))| format!("{category} {mine}/{all}"))
        .collect();
    lab.note(format_args!(
        "{}: {} attempts, {} granted, none a surprise; commands by category: {}",
        service.name,
        walk.attempts,
        walk.granted,
        categories.join(", ")
    ));
    Ok(())
}

async fn catalogue(bus: &Bus, component: Component) -> anyhow::Result<Catalogue> {
    // Agents end the session of a user whom nobody ordered.
    wait::until("what the engine knows", LIMIT, || async {
        Catalogue::of(&bus.root(bus.place(component, 0)).await?).await
    })
    .await
}

/// The client meets one primary and one Sentinel; the users of the others are the same.
async fn same_users_everywhere(bus: &Bus) -> anyhow::Result<()> {
    for nodes in [bus.data_nodes().await?, bus.sentinel_nodes().await?] {
        let (first, others) = nodes.split_first().context("no nodes")?;
        let users = first.users().await?;
        for node in others {
            let own = node.users().await?;
            let amiss = differing(&users, &own);
            ensure!(
                amiss.is_empty(),
                "{} and {} differ in {amiss:?}",
                first.pod,
                node.pod
            );
        }
    }
    Ok(())
}
