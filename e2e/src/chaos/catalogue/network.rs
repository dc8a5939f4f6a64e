//! Links that are cut, one way or both, lossy or slow.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::crashes::hang;
use crate::chaos::{Fault, Loses, Scene, held};
use crate::machine::Rules;

/// How long a link is cut.
const CUT: Duration = Duration::from_secs(25);

/// How long a link is bad.
const BAD: Duration = Duration::from_secs(20);

/// How long no name is answered, and how long that has lasted when the primary hangs.
const NAMELESS: Duration = Duration::from_secs(40);
const ALREADY: Duration = Duration::from_secs(5);

/// `replication.fencingWindow` and the looks that it takes to act on it: so long a primary may take writes that cannot know
/// of another.
const WINDOW: Duration = Duration::from_secs(5);

/// The rules on the node of the pod whose links are cut or bad; a table for each that may be there beside another.
const CUT_LINKS: &str = "e2e_cut_links";
const BROKEN_LINK: &str = "e2e_broken_link";
const LOSSY: &str = "e2e_lossy";
const SILENT_DNS: &str = "e2e_silent_dns";

pub const ALL: &[Fault] = &[
    Fault::new(
        "alone-with-clients",
        "the primary reaches no other pod of the bus for 25 s, and its clients reach it",
        |scene| Box::pin(cut(scene, Between::All, Way::Both)),
    )
    .beside(WINDOW)
    .tells(&["PrimaryFenced", "PrimaryUnreachable", "ReplicasNotInSync"]),
    Fault::new(
        "unseen-by-sentinels",
        "the primary and every Sentinel do not reach one another for 25 s, replicas and clients reach it",
        |scene| Box::pin(cut(scene, Between::Sentinels, Way::Both)),
    )
    .beside(WINDOW),
    Fault::new(
        "unseen-by-replicas",
        "the primary and its replicas do not reach one another for 25 s, Sentinels and clients reach it",
        |scene| Box::pin(cut(scene, Between::Replicas, Way::Both)),
    )
    .tells(&["ReplicasNotInSync", "TooFewReplicas", "PrimaryFenced"]),
    Fault::new(
        "deaf",
        "nothing from other pods of the bus reaches the primary for 25 s",
        |scene| Box::pin(cut(scene, Between::All, Way::In)),
    )
    .beside(WINDOW),
    Fault::new(
        "mute",
        "nothing from the primary reaches other pods of the bus for 25 s",
        |scene| Box::pin(cut(scene, Between::All, Way::Out)),
    )
    .beside(WINDOW),
    Fault::new(
        "broken-link",
        "a replica and the primary do not reach one another for 25 s",
        |scene| Box::pin(broken_link(scene)),
    )
    .loses(Loses::Nothing)
    .tells(&["ReplicasNotInSync"])
    .lasts(),
    Fault::new(
        "packet-loss",
        "one packet in ten from and to the primary is lost for 20 s",
        |scene| Box::pin(lossy(scene)),
    )
    .beside(WINDOW)
    .lasts(),
    Fault::new(
        "slow-network",
        "the primary's packets queue at 2 Mbit/s, up to 300 ms, for 20 s",
        |scene| Box::pin(slow(scene)),
    )
    .beside(WINDOW)
    .lasts(),
    Fault::new(
        "hang-without-names",
        "no pod of the bus hears from DNS for 40 s, and after 5 s of it the primary's server gets SIGSTOP for 12 s",
        |scene| Box::pin(without_names(scene)),
    )
    .tells(&["SentinelSeesPrimaryDown", "FailoverRunning"]),
];

/// With whom a link is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    All,
    Sentinels,
    Replicas,
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Both,
    In,
    Out,
}

async fn cut(scene: &Scene, between: Between, way: Way) -> anyhow::Result<()> {
    let mut others = Vec::new();
    if between != Between::Sentinels {
        others.extend(scene.replicas());
    }
    if between != Between::Replicas {
        others.extend(scene.sentinels());
    }
    let _cut = links(scene, CUT_LINKS, &scene.primary, &others, way).await?;
    tokio::time::sleep(CUT).await;
    Ok(())
}

async fn broken_link(scene: &Scene) -> anyhow::Result<()> {
    let replica = scene.replica()?;
    let primary = [scene.primary.clone()];
    let _cut = links(scene, BROKEN_LINK, &replica, &primary, Way::Both).await?;
    tokio::time::sleep(CUT).await;
    Ok(())
}

async fn links(
    scene: &Scene,
    table: &'static str,
    pod: &str,
    others: &[String],
    way: Way,
) -> anyhow::Result<Rules> {
    let addresses = scene.addresses().await?;
    let address = addresses.get(pod).context("the pod has no address")?;
    let others = others.iter().filter_map(|other| addresses.get(other));
    let others: Vec<&str> = others.map(String::as_str).collect();
    Rules::forward(
        &scene.node(pod).await?,
        table,
        &drops(address, &others, way),
    )
}

fn drops(address: &str, others: &[&str], way: Way) -> String {
    let others = others.join(", ");
    let coming = format!("ip saddr {{ {others} }} ip daddr {address} drop;");
    let going = format!("ip saddr {address} ip daddr {{ {others} }} drop;");
    match way {
        Way::Both => format!("{coming} {going}"),
        Way::In => coming,
        Way::Out => going,
    }
}

async fn lossy(scene: &Scene) -> anyhow::Result<()> {
    let address = scene.address(&scene.primary).await?;
    let one_in_ten = "numgen random mod 10 0 drop;";
    let rules = format!("ip saddr {address} {one_in_ten} ip daddr {address} {one_in_ten}");
    let _lossy = Rules::forward(&scene.node(&scene.primary).await?, LOSSY, &rules)?;
    tokio::time::sleep(BAD).await;
    Ok(())
}

async fn slow(scene: &Scene) -> anyhow::Result<()> {
    let server = scene.server(&scene.primary).await?;
    let _slow = held::Queue::begin(&server)?;
    tokio::time::sleep(BAD).await;
    Ok(())
}

/// What a node does to the others that is gone with one of the cluster's DNS servers, and worse: no question is answered.
async fn without_names(scene: &Scene) -> anyhow::Result<()> {
    let addresses = scene.addresses().await?;
    let mut nodes = BTreeSet::new();
    for pod in addresses.keys() {
        nodes.insert(scene.node(pod).await?);
    }
    let addresses: Vec<String> = addresses.into_values().collect();
    let asking = format!("ip saddr {{ {} }}", addresses.join(", "));
    let rules = format!("{asking} udp dport 53 drop; {asking} tcp dport 53 drop;");
    let silent = nodes
        .iter()
        .map(|node| Rules::forward(node, SILENT_DNS, &rules));
    let _silent: Vec<Rules> = silent.collect::<anyhow::Result<_>>()?;
    let until = Instant::now() + NAMELESS;
    tokio::time::sleep(ALREADY).await;
    hang(scene).await?;
    tokio::time::sleep_until(until).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_cut_the_way_that_is_asked_for() {
        let others = ["10.0.0.2", "10.0.0.3"];
        let coming = "ip saddr { 10.0.0.2, 10.0.0.3 } ip daddr 10.0.0.1 drop;";
        let going = "ip saddr 10.0.0.1 ip daddr { 10.0.0.2, 10.0.0.3 } drop;";
        assert_eq!(drops("10.0.0.1", &others, Way::In), coming);
        assert_eq!(drops("10.0.0.1", &others, Way::Out), going);
        let both = format!("{coming} {going}");
        assert_eq!(drops("10.0.0.1", &others, Way::Both), both);
    }
}
