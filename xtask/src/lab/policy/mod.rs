//! Network policies where the cluster's own network enforces none.
//!
//! The rules are a picture of the moment: whoever changes pods or policies asks again, or follows.

mod objects;
mod rules;

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::progress::note;

use super::cluster::{nodes, on_node};
use super::{Lab, Source};

use objects::List;
use rules::{Cluster, TABLE};

/// How long a change may go unnoticed while following.
const INTERVAL: Duration = Duration::from_secs(1);

/// Makes every node enforce the policies as they are now.
pub(super) fn enforce(lab: &Lab) -> anyhow::Result<()> {
    if enforces_by_itself(lab) {
        return Ok(());
    }
    load(&read(lab)?.ruleset())
}

/// Enforces the policies as they change, until the program is stopped.
pub(super) fn follow(lab: &Lab) -> anyhow::Result<()> {
    if enforces_by_itself(lab) {
        return Ok(());
    }
    let mut loaded = String::new();
    loop {
        let ruleset = read(lab)?.ruleset();
        if ruleset != loaded {
            load(&ruleset)?;
            loaded = ruleset;
            note("policies are enforced as they are now");
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Makes every node let everything through again.
pub(super) fn ignore(lab: &Lab) -> anyhow::Result<()> {
    if enforces_by_itself(lab) {
        return Ok(());
    }
    load(&format!("table {TABLE} {{}}\ndelete table {TABLE}\n"))
}

fn enforces_by_itself(lab: &Lab) -> bool {
    let so = lab.source() == Source::Registry;
    if so {
        note("the cluster's network enforces policies by itself");
    }
    so
}

fn read(lab: &Lab) -> anyhow::Result<Cluster> {
    Ok(Cluster {
        namespaces: list(lab, "namespaces")?,
        pods: list(lab, "pods")?,
        policies: list(lab, "networkpolicies")?,
    })
}

fn list<T: DeserializeOwned>(lab: &Lab, kind: &str) -> anyhow::Result<Vec<T>> {
    let json = lab
        .kubectl()
        .args(["get", kind, "--all-namespaces", "--output=json"])
        .output()?;
    let list: List<T> = serde_json::from_str(&json)?;
    Ok(list.items)
}

fn load(ruleset: &str) -> anyhow::Result<()> {
    for node in nodes()? {
        on_node(&node.name)
            .args(["nft", "--file", "-"])
            .input(ruleset)
            .run()?;
    }
    Ok(())
}
