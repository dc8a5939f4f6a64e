//! The lab's folder, outside the source tree: artefacts by version, Docker's data, the cluster's kubeconfig.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::command::Cmd;

/// The environment variable that moves the lab's folder.
pub const HOME_VARIABLE: &str = "CACHEBUS_LAB_HOME";

/// The lab's folder.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The folder named by `CACHEBUS_LAB_HOME`, else `cachebus-lab` in the user's cache folder. Created when missing.
    pub fn locate() -> anyhow::Result<Self> {
        let from_environment = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = if let Some(named) = from_environment(HOME_VARIABLE) {
            PathBuf::from(named)
        } else if let Some(cache) = from_environment("XDG_CACHE_HOME") {
            Path::new(&cache).join("cachebus-lab")
        } else if let Some(home) = from_environment("HOME") {
            Path::new(&home).join(".cache/cachebus-lab")
        } else {
            bail!("neither {HOME_VARIABLE} nor HOME is set: where should the lab keep its files?");
        };
        Self::at(&root)
    }

    /// This folder. Created when missing.
    pub(crate) fn at(root: &Path) -> anyhow::Result<Self> {
        let root = std::path::absolute(root)?;
        let home = Self { root };
        for dir in [home.bin(), home.store(), home.cluster(), home.docker()] {
            fs::create_dir_all(&dir)
                .with_context(|| format!("cannot create the lab's folder {}", dir.display()))?;
        }
        Ok(home)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What belongs on `PATH`: one link per built program.
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// The built programs, named `<program>-<version>`.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Go modules that exist to build one program each.
    pub fn module(&self, name: &str) -> PathBuf {
        self.root.join("modules").join(name)
    }

    /// The state of a Docker Engine that the lab started.
    pub fn docker(&self) -> PathBuf {
        self.root.join("docker")
    }

    /// What is known of the cluster.
    pub fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    /// The cluster's kubeconfig; the user's own is never touched.
    pub fn kubeconfig(&self) -> PathBuf {
        self.cluster().join("kubeconfig")
    }

    /// An empty folder for work that is thrown away.
    pub fn scratch(&self, name: &str) -> anyhow::Result<Scratch> {
        let dir = self.root.join("scratch").join(name);
        let scratch = Scratch { dir };
        scratch.clear()?;
        fs::create_dir_all(&scratch.dir)
            .with_context(|| format!("cannot create {}", scratch.dir.display()))?;
        Ok(scratch)
    }

    /// Holds off other runs that work in the same folder, until the returned file is dropped.
    pub fn lock(&self) -> anyhow::Result<fs::File> {
        let path = self.root.join("lock");
        let file =
            fs::File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if file.try_lock().is_err() {
            crate::progress::note("== waiting for another run that uses the lab");
            file.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(file)
    }

    /// The free space of the folder's file system, in bytes.
    pub fn free_bytes(&self) -> anyhow::Result<u64> {
        let printed = Cmd::new("df")
            .args(["--block-size=1", "--output=avail"])
            .arg(&self.root)
            .output()?;
        let figure = printed.lines().last().unwrap_or_default().trim();
        figure
            .parse()
            .with_context(|| format!("`df` printed {printed:?} for {}", self.root.display()))
    }
}

/// A folder that is removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Removes the folder; first what an interrupted run may have left mounted inside it.
    fn clear(&self) -> anyhow::Result<()> {
        if !self.dir.exists() {
            return Ok(());
        }
        super::mounts::unmount_below(&self.dir)?;
        fs::remove_dir_all(&self.dir)
            .with_context(|| format!("cannot remove {}", self.dir.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            crate::progress::note(format_args!("{error:#}"));
        }
    }
}
