//! A Docker Engine: whichever answers, else one of the lab's own, whatever an earlier one left behind.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::command::{Cmd, tail};
use crate::progress::{note, step};

use super::home::Home;
use super::processes::{self, Process};
use super::{docker, mounts, packages, wait};

/// Where an engine of the lab keeps sockets and mounts while it runs. One engine a machine: the socket is Docker's own.
const RUN_ROOT: &str = "/run/cachebus-lab";

/// runc for machines whose root lacks a capability.
pub(crate) const RUNC_BOUNDED: &str = include_str!("../../lab/runc-bounded");
const RUNC_BOUNDED_PATH: &str = "/usr/local/sbin/runc-bounded";

const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// Returns when a Docker Engine answers; starts one when none does.
pub(crate) fn ensure(home: &Home) -> anyhow::Result<()> {
    packages::ensure(packages::CLIENT)?;
    if docker::answers() {
        return Ok(());
    }
    let own = Own::of(home);
    refuse_to_replace_another(&own)?;
    if fs::metadata("/proc/self").map_or(u32::MAX, |own| own.uid()) != 0 {
        bail!(
            "no Docker Engine answers, and only root can start one: start Docker, or run this as root"
        );
    }
    packages::ensure(packages::ENGINE)?;
    step("starting a Docker Engine", || {
        own.clear_leftovers()?;
        own.start()
    })
}

/// Stops the engine that the lab started; one that somebody else started is left alone.
pub(crate) fn stop(home: &Home) -> anyhow::Result<()> {
    let own = Own::of(home);
    if own.daemon().is_none() {
        note("the lab has no Docker Engine running");
        return Ok(());
    }
    step("stopping the lab's Docker Engine", || own.clear_leftovers())
}

/// The process id of the lab's own engine, while it runs.
pub(crate) fn own_pid(home: &Home) -> Option<u32> {
    Own::of(home).daemon().map(|daemon| daemon.pid)
}

/// An engine that is there but silent belongs to somebody: its containers are not ours to stop.
fn refuse_to_replace_another(own: &Own) -> anyhow::Result<()> {
    let other = processes::all()
        .into_iter()
        .find(|process| process.program() == "dockerd" && !own.is_daemon(process));
    match other {
        None => Ok(()),
        Some(other) => bail!(
            "a Docker Engine runs (process {}) but does not answer, and the lab did not start it: repair or stop it",
            other.pid
        ),
    }
}

/// The lab's own engine, running or not.
struct Own {
    dir: PathBuf,
    data: PathBuf,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Own {
    fn of(home: &Home) -> Self {
        let dir = home.docker();
        Self {
            data: dir.join("data"),
            pid_file: dir.join("pid"),
            log: dir.join("log"),
            dir,
        }
    }

    fn is_daemon(&self, process: &Process) -> bool {
        process.program() == "dockerd"
            && (process.mentions(RUN_ROOT) || process.mentions(&self.data.to_string_lossy()))
    }

    fn daemon(&self) -> Option<Process> {
        processes::all()
            .into_iter()
            .find(|process| self.is_daemon(process))
    }

    fn start(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.dir)?;
        install_runc_bounded()?;
        Cmd::new("dockerd")
            .arg("--data-root")
            .arg(&self.data)
            .args(["--exec-root", RUN_ROOT])
            .arg("--pidfile")
            .arg(&self.pid_file)
            .args(["--storage-driver", "overlay2"])
            .arg("--add-runtime")
            .arg(format!("bounded={RUNC_BOUNDED_PATH}"))
            .args(["--default-runtime", "bounded"])
            .detach(&self.log)?;
        let mut seen = false;
        let ended = wait::until(START_LIMIT, || {
            let alive = self.daemon().is_some();
            seen |= alive;
            docker::answers() || (seen && !alive)
        });
        if ended && self.daemon().is_some() {
            return Ok(());
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        bail!(
            "the Docker Engine did not come up; the end of {}:\n{}",
            self.log.display(),
            tail(&log)
        )
    }

    /// Ends what is left of an earlier engine: the daemon, its containerd, its containers, their mounts, its pid file.
    fn clear_leftovers(&self) -> anyhow::Result<()> {
        if let Some(daemon) = self.daemon() {
            daemon.stop(STOP_LIMIT)?;
        }
        let all = processes::all();
        let ours = |process: &&Process| process.mentions(RUN_ROOT);
        let named =
            |name: &'static str| all.iter().filter(move |process| process.program() == name);
        for containerd in named("containerd").filter(ours) {
            containerd.stop(STOP_LIMIT)?;
        }
        for shim in named("containerd-shim-runc-v2").filter(ours) {
            // The end of a container's first process ends all of its others.
            for container in processes::children(&all, shim) {
                container.kill();
            }
            shim.stop(STOP_LIMIT)?;
        }
        // Without any daemon every port forwarder is an orphan, and holds a port that the next one needs.
        for forwarder in named("docker-proxy") {
            forwarder.stop(STOP_LIMIT)?;
        }
        for dir in [Path::new(RUN_ROOT), &self.data] {
            mounts::unmount_below(dir)?;
        }
        for path in [&self.pid_file, Path::new("/var/run/docker.sock")] {
            remove_if_present(path)?;
        }
        match fs::remove_dir_all(RUN_ROOT) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {RUN_ROOT}"))
            }
            _ => Ok(()),
        }
    }
}

fn install_runc_bounded() -> anyhow::Result<()> {
    let path = Path::new(RUNC_BOUNDED_PATH);
    let write = || {
        fs::write(path, RUNC_BOUNDED)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("cannot install {RUNC_BOUNDED_PATH}"))
}

fn remove_if_present(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
