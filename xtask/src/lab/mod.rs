//! A real cluster on this machine: kind, from public images where a registry answers, else built from packages.

mod binaries;
mod cluster;
mod docker;
mod engine;
mod engines;
mod home;
mod load;
mod mounts;
mod network;
mod node_image;
mod packages;
mod policy;
mod processes;
mod roots;
mod s3;
mod source;
mod space;
mod versions;
mod wait;

use std::path::{Path, PathBuf};

use crate::command::{Cmd, search_path};
use crate::progress::{note, step};

pub use cluster::AUDIT_LOG;
pub(crate) use docker::answers;
pub use docker::{docker, image_id};
pub use engines::{ENGINES, EngineImage};
pub use home::{HOME_VARIABLE, Home};
pub use source::Source;
pub use versions::KUBERNETES;
pub use wait::until;

/// The cluster's name.
pub const NAME: &str = "cachebus";

/// How many nodes run pods.
pub const WORKERS: usize = 2;

/// Installs Python where it is missing.
pub(crate) fn needs_python() -> anyhow::Result<()> {
    packages::ensure(packages::PYTHON)
}

/// A short digest of all that something is made from.
pub(crate) fn fingerprint<'a>(inputs: impl IntoIterator<Item = &'a str>) -> String {
    docker::Fingerprint::of(inputs).as_str().to_owned()
}

/// Removes what earlier runs left behind where a whole test run might not find the room it needs.
pub fn make_room() -> anyhow::Result<()> {
    let home = Home::locate()?;
    // Where there is room nobody waits for another run.
    if home.free_bytes()? >= space::TESTS {
        return Ok(());
    }
    let _lock = home.lock()?;
    space::prune(&home)
}

/// The lab on this machine.
#[derive(Debug)]
pub struct Lab {
    home: Home,
    source: Source,
}

impl Lab {
    /// Opens the lab for work: a Docker Engine answers, and where images come from is settled.
    pub fn open(source: Option<Source>) -> anyhow::Result<Self> {
        let home = Home::locate()?;
        let _lock = home.lock()?;
        engine::ensure(&home)?;
        let source = Source::choose(&home, source, Source::ask)?;
        Ok(Self { home, source })
    }

    /// Builds or pulls everything that a cluster needs and that is not there yet.
    pub fn build(&self) -> anyhow::Result<()> {
        let _lock = self.home.lock()?;
        self.build_locked()
    }

    fn build_locked(&self) -> anyhow::Result<()> {
        let Self { home, source } = self;
        space::ensure(
            home,
            if self.is_built() {
                space::RUN
            } else {
                space::BUILD
            },
        )?;
        if *source == Source::Packages && !self.is_built() {
            packages::ensure(packages::BUILD)?;
        }
        binaries::ensure(home, *source)?;
        for engine in ENGINES {
            engine.ensure(home, *source)?;
        }
        if *source == Source::Packages {
            node_image::ensure(home)?;
        }
        source.keep(home)
    }

    /// Brings the cluster up, with everything it needs and the engines' images inside.
    pub fn up(&self) -> anyhow::Result<()> {
        let _lock = self.home.lock()?;
        self.build_locked()?;
        cluster::ensure(self)?;
        let engines: Vec<&str> = ENGINES
            .iter()
            .map(|engine| engine.image(self.source))
            .collect();
        load::load(&self.home, &engines)
    }

    /// Deletes the cluster; what was built stays.
    pub fn down(&self) -> anyhow::Result<()> {
        let _lock = self.home.lock()?;
        binaries::ensure(&self.home, self.source)?;
        step(format_args!("deleting the cluster {NAME}"), || {
            cluster::delete(self)
        })
    }

    /// The image of the stock client in Python, built from Debian packages wherever the rest comes from: no registry has it.
    pub fn python_client(&self) -> anyhow::Result<&'static str> {
        self.root(&roots::PYTHON)
    }

    /// The image of PostgreSQL and an engine's server, built from Debian packages like [`Lab::python_client`].
    pub fn postgres(&self) -> anyhow::Result<&'static str> {
        self.root(&roots::POSTGRES)
    }

    fn root(&self, root: &roots::Root) -> anyhow::Result<&'static str> {
        let _lock = self.home.lock()?;
        if !root.is_present() {
            packages::ensure(packages::BUILD)?;
        }
        root.ensure(&self.home)?;
        Ok(root.image)
    }

    /// The image of the S3 server, whose program is built from its Go module.
    pub fn s3_server(&self) -> anyhow::Result<&'static str> {
        let _lock = self.home.lock()?;
        s3::ensure(&self.home)?;
        Ok(s3::IMAGE)
    }

    /// Copies images of the local Docker into the nodes that do not have them yet.
    pub fn load(&self, images: &[&str]) -> anyhow::Result<()> {
        let _lock = self.home.lock()?;
        load::load(&self.home, images)
    }

    /// Enforces network policies as they are now, on nodes whose network enforces none.
    pub fn enforce_policies(&self) -> anyhow::Result<()> {
        policy::enforce(self)
    }

    /// Enforces network policies as they change, until this program is stopped.
    pub fn follow_policies(&self) -> anyhow::Result<()> {
        policy::follow(self)
    }

    /// Lets everything through again.
    pub fn ignore_policies(&self) -> anyhow::Result<()> {
        policy::ignore(self)
    }

    /// Prints what there is.
    pub fn status(&self) -> anyhow::Result<()> {
        let engine = engine::own_pid(&self.home).map_or_else(
            || "one that was already there".to_owned(),
            |pid| format!("the lab's own, process {pid}"),
        );
        note(format_args!("folder    {}", self.home.root().display()));
        note(format_args!("engine    {engine}"));
        note(format_args!("source    {}", self.source));
        for program in binaries::needed(self.source) {
            let state = presence(self.home.bin().join(program.name).exists());
            note(format_args!(
                "program   {} {} {state}",
                program.name, program.version
            ));
        }
        for engine in ENGINES {
            let image = engine.image(self.source);
            let state = presence(engine.is_present(self.source));
            note(format_args!("image     {image} {state}"));
        }
        note(format_args!("cluster   {}", cluster::state(self)?));
        Ok(())
    }

    /// The process of the Docker Engine, where the lab started it.
    pub(crate) fn own_engine(&self) -> Option<u32> {
        engine::own_pid(&self.home)
    }

    /// Where nodes and engines come from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The lab's folder.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// `kubectl` on the lab's cluster.
    pub fn kubectl(&self) -> Cmd {
        self.with_tools("kubectl")
    }

    /// `helm` on the lab's cluster.
    pub fn helm(&self) -> Cmd {
        self.with_tools("helm")
    }

    /// Any program, with the lab's own on its `PATH`, told of the lab's cluster.
    pub fn with_tools(&self, name: &str) -> Cmd {
        Cmd::new(name)
            .env("PATH", path(&self.home))
            .env("KUBECONFIG", self.home.kubeconfig())
    }

    fn is_built(&self) -> bool {
        let programs = binaries::needed(self.source).all(|program| {
            let link = self.home.bin().join(program.name);
            link.exists() && std::fs::read_link(&link).is_ok_and(|to| is_current(&to, program))
        });
        let images = ENGINES.iter().all(|engine| engine.is_present(self.source));
        let node = self.source == Source::Registry
            || docker::has(&node_image::name(), &node_image::inputs());
        programs && images && node
    }
}

fn presence(is_there: bool) -> &'static str {
    if is_there { "present" } else { "missing" }
}

fn is_current(target: &Path, program: &binaries::Program) -> bool {
    target.ends_with(program.file_name()) || target.ends_with(program.name)
}

/// Stops the Docker Engine that the lab started.
pub fn stop_engine() -> anyhow::Result<()> {
    let home = Home::locate()?;
    let _lock = home.lock()?;
    engine::stop(&home)
}

/// One of the programs that the lab keeps for the host, built when it is missing.
pub fn host_program(name: &str) -> anyhow::Result<PathBuf> {
    let home = Home::locate()?;
    let _lock = home.lock()?;
    binaries::ensure_one(&home, name)?;
    Ok(home.bin().join(name))
}

/// The folder that has the lab's programs.
pub fn bin() -> anyhow::Result<PathBuf> {
    Ok(Home::locate()?.bin())
}

/// What a shell has to set to use the lab's programs on its cluster.
pub fn shell_exports() -> anyhow::Result<String> {
    let home = Home::locate()?;
    Ok(format!(
        "export PATH={}:$PATH KUBECONFIG={}",
        home.bin().display(),
        home.kubeconfig().display()
    ))
}

fn path(home: &Home) -> std::ffi::OsString {
    let mut path = home.bin().into_os_string();
    path.push(":");
    path.push(search_path());
    path
}
