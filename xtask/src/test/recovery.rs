//! The lab comes up from whatever it was left with. The cluster is made anew meanwhile.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::command::Cmd;
use crate::lab::{self, HOME_VARIABLE, Lab, NAME, WORKERS, docker};
use crate::progress::note;

/// Time for a killed engine to be silent, and for a cluster to have its first node.
const LIMIT: Duration = Duration::from_mins(2);

/// Room in the folder that is full.
const TINY: &str = "size=16m";

pub(super) fn check() -> anyhow::Result<()> {
    up()?;
    nodes_that_stand_still().context("nodes that stand still")?;
    dead_engine().context("a dead Docker Engine")?;
    lost_node().context("a node that is gone")?;
    half_made_cluster().context("a half-made cluster")?;
    full_folder().context("a full folder")
}

/// Brings the lab up, and fails unless every node runs and is ready.
fn up() -> anyhow::Result<Lab> {
    let lab = Lab::open(None)?;
    lab.up()?;
    let running = nodes(&["--filter", "status=running"])?;
    ensure!(running.len() == WORKERS + 1, "only {running:?} run");
    let ready = "{.items[*].status.conditions[?(@.type=='Ready')].status}";
    let ready = lab
        .kubectl()
        .args(["get", "nodes", "--output"])
        .arg(format!("jsonpath={ready}"))
        .output()?;
    ensure!(
        ready.split(' ').filter(|status| *status == "True").count() == WORKERS + 1,
        "nodes are Ready: {ready}"
    );
    Ok(lab)
}

/// The names of the cluster's containers that fit.
fn nodes(filter: &[&str]) -> anyhow::Result<Vec<String>> {
    let printed = docker()
        .args(["ps", "--all", "--filter"])
        .arg(format!("label=io.x-k8s.kind.cluster={NAME}"))
        .args(filter)
        .args(["--format", "{{.Names}}"])
        .output()?;
    Ok(printed.lines().map(str::to_owned).collect())
}

/// The id of the control plane's container: another cluster has another.
fn cluster() -> anyhow::Result<String> {
    let name = format!("{NAME}-control-plane");
    docker()
        .args(["container", "inspect", "--format", "{{.Id}}", &name])
        .output()
}

fn workers() -> anyhow::Result<Vec<String>> {
    let mut nodes = nodes(&[])?;
    nodes.retain(|node| !node.ends_with("-control-plane"));
    ensure!(nodes.len() == WORKERS, "workers: {nodes:?}");
    Ok(nodes)
}

/// They are started again, and the cluster is the same.
fn nodes_that_stand_still() -> anyhow::Result<()> {
    let before = cluster()?;
    let workers = workers()?;
    docker().args(["pause", &workers[0]]).run()?;
    docker().args(["kill", &workers[1]]).run()?;
    up()?;
    ensure!(cluster()? == before, "the cluster was made anew");
    Ok(())
}

/// With it go containerd, shims, mounts, sockets and containers that nobody looks after any more.
fn dead_engine() -> anyhow::Result<()> {
    let Some(engine) = Lab::open(None)?.own_engine() else {
        note("   the Docker Engine is somebody else's: it is not killed");
        return Ok(());
    };
    Cmd::new("kill")
        .args(["-KILL", &engine.to_string()])
        .run()?;
    ensure!(
        lab::until(LIMIT, || !lab::answers()),
        "the engine still answers"
    );
    let now = up()?.own_engine();
    ensure!(
        now.is_some_and(|now| now != engine),
        "process {engine} was the engine, {now:?} is"
    );
    Ok(())
}

/// The cluster is made anew.
fn lost_node() -> anyhow::Result<()> {
    let before = cluster()?;
    docker().args(["rm", "--force", &workers()?[0]]).run()?;
    up()?;
    ensure!(cluster()? != before, "a cluster without a node was kept");
    Ok(())
}

/// `lab up`, killed with all that it started when there are nodes already, leaves a cluster that is made anew.
fn half_made_cluster() -> anyhow::Result<()> {
    Lab::open(None)?.down()?;
    let mut interrupted = Command::new(std::env::current_exe()?)
        .args(["lab", "up"])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let begun = lab::until(LIMIT, || {
        nodes(&["--filter", "status=running"]).is_ok_and(|nodes| nodes.len() > WORKERS)
    });
    Cmd::new("kill")
        .args(["-KILL", "--", &format!("-{}", interrupted.id())])
        .run()?;
    interrupted.wait()?;
    ensure!(begun, "no nodes within {} s", LIMIT.as_secs());
    let before = cluster()?;
    up()?;
    ensure!(cluster()? != before, "a half-made cluster was kept");
    Ok(())
}

/// What is old is removed, and work that cannot end for lack of room is refused before it begins.
fn full_folder() -> anyhow::Result<()> {
    let full = Full::mount()?;
    let old = full.0.join("store/kubectl-v0.0.1");
    fs::create_dir_all(full.0.join("store"))?;
    fs::write(&old, "")?;
    let up = Cmd::new(std::env::current_exe()?)
        .args(["lab", "up", "--source", "packages"])
        .env(HOME_VARIABLE, &full.0)
        .output();
    let refused = match up {
        Ok(printed) => anyhow::bail!("it came up: {printed}"),
        Err(error) => format!("{error:#}"),
    };
    ensure!(refused.contains("make room"), "{refused}");
    ensure!(!old.exists(), "what is old was kept");
    Ok(())
}

/// A folder with next to no room, until dropped.
struct Full(PathBuf);

impl Full {
    fn mount() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join("cachebus-lab-full");
        fs::create_dir_all(&folder)?;
        Cmd::new("mount")
            .args(["--types", "tmpfs", "--options", TINY, "tmpfs"])
            .arg(&folder)
            .run()?;
        Ok(Self(folder))
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let unmounted = Cmd::new("umount").arg("--lazy").arg(&self.0).run();
        if let Err(error) = unmounted.and_then(|()| Ok(fs::remove_dir(&self.0)?)) {
            note(format_args!("{error:#}"));
        }
    }
}
