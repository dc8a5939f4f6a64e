//! A pod's volume on a disk of its own, small enough to be filled and slow enough when it is told to be.

use std::fs::{self, File};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Api;

use super::held;
use crate::bus::Bus;
use crate::faults;
use crate::machine::docker;

/// Its size: some times what a bus under test holds.
const BYTES: u64 = 96 << 20;

/// Where the volume of a pod is.
pub struct Volume {
    /// The node.
    pub node: String,
    /// The folder there.
    pub folder: String,
}

/// The volume of a pod.
pub async fn volume(bus: &Bus, pod: &str) -> anyhow::Result<Volume> {
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(bus.client.clone(), bus.names.namespace());
    let claim = claims.get(&format!("data-{pod}")).await?;
    let name = claim.spec.and_then(|spec| spec.volume_name);
    let name = name.with_context(|| format!("the claim of {pod} has no volume"))?;
    let volumes: Api<PersistentVolume> = Api::all(bus.client.clone());
    let spec = volumes.get(&name).await?.spec.unwrap_or_default();
    let local = spec.local.map(|local| local.path);
    let folder = local.or(spec.host_path.map(|host| host.path));
    Ok(Volume {
        node: faults::node_of(bus, pod).await?,
        folder: folder.with_context(|| format!("{name} is no folder of a node"))?,
    })
}

/// A disk that lies over the folder of a volume until this is dropped. A pod has it from its next start on.
pub struct SmallDisk {
    /// Whose volume.
    pub pod: String,
    /// The disk: `/dev/loop0`.
    pub device: String,
    volume: Volume,
    image: String,
}

impl SmallDisk {
    /// Makes an empty one and lays it over the volume of a pod.
    pub async fn begin(bus: &Bus, pod: &str) -> anyhow::Result<Self> {
        let volume = volume(bus, pod).await?;
        let image = std::env::temp_dir().join(format!("cachebus-e2e-{pod}.img"));
        let image = image.to_str().context("the folder for files")?.to_owned();
        File::create(&image)?.set_len(BYTES)?;
        held::run("mkfs.ext4", &["-q", "-m", "0", &image])?;
        let device = held::printed("losetup", &["--find", "--show", &image])?;
        let disk = Self {
            pod: pod.to_owned(),
            device: device.trim().to_owned(),
            volume,
            image,
        };
        let script = "mount \"$1\" \"$2\"; rmdir \"$2/lost+found\"; chmod 0777 \"$2\"";
        disk.on_node(&[
            "sh",
            "-euc",
            script,
            "sh",
            &disk.device,
            &disk.volume.folder,
        ])?;
        Ok(disk)
    }

    fn on_node(&self, command: &[&str]) -> anyhow::Result<()> {
        docker(&[&["exec", &self.volume.node], command].concat(), "").map(|_| ())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The pod that has it keeps it; the disk goes with that pod.
        let _ = self.on_node(&["umount", "--lazy", &self.volume.folder]);
        let _ = held::run("losetup", &["--detach", &self.device]);
        let _ = fs::remove_file(&self.image);
    }
}
