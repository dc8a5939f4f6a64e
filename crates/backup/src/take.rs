//! Taking a backup: a data pod's dataset, as it sends it to a replica, goes to where it is stored as it comes.

use crate::error::BackupError;
use crate::keys::Sealer;
use crate::layout::Layout;
use crate::storage::Storage;
use crate::upload::{Stored, Upload};
use cachebus_admin::{Credentials, Endpoint, Snapshot, TlsContext};
use cachebus_core::backup::{
    BackupTask, ENCRYPTED_FILE, Head, LONGEST_HEAD, Manifest, PLAIN_FILE, Source, Taken, folder,
    head,
};
use cachebus_core::credentials::REPLICATION;
use object_store::path::Path;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// How long a data pod may take to answer a step of the greeting.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long it may fall silent in the middle: it forks, and reads its memory.
const SILENCE: Duration = Duration::from_mins(2);
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

pub(crate) async fn take(task: &BackupTask, layout: &Layout) -> Result<Taken, BackupError> {
    let storage = Storage::open(&task.destination, layout)?;
    let folder = folder(&task.namespace, &task.bus, &task.backup);
    if storage.manifest(&folder).await?.is_some() {
        return Err(BackupError::Taken(folder));
    }
    let sealer = Sealer::new(task.encrypted, layout)?;
    let mut terminate =
        signal(SignalKind::terminate()).map_err(BackupError::file("listening to", "signals"))?;
    let (source, snapshot) = tokio::select! {
        opened = open(task, layout) => opened?,
        _ = terminate.recv() => return Err(BackupError::Stopped),
    };
    let taken_at_s = now_s();
    tracing::info!(source = source.pod, folder, "taking a backup");
    let file = if task.encrypted {
        ENCRYPTED_FILE
    } else {
        PLAIN_FILE
    };
    let mut upload = Upload::begin(&storage, &Path::from(format!("{folder}/{file}"))).await?;
    let copied = tokio::select! {
        copied = copy(&source.pod, snapshot, sealer, &mut upload) => copied,
        _ = terminate.recv() => Err(BackupError::Stopped),
    };
    let head = match copied {
        Ok(head) => head,
        Err(error) => {
            upload.abort().await;
            return Err(error);
        }
    };
    let Stored { size, sha256 } = upload.finish().await?;
    let manifest = Manifest {
        version: 1,
        bus: task.bus.clone(),
        namespace: task.namespace.clone(),
        uid: task.uid.clone(),
        backup: task.backup.clone(),
        scheduled: task.scheduled,
        taken_at_s,
        source: source.pod.clone(),
        engine_version: head.engine_version.clone(),
        format: head.format,
        keys: head.keys,
        file: file.to_owned(),
        size_bytes: size,
        sha256: sha256.clone(),
        encrypted: task.encrypted,
    };
    storage.complete(&folder, &manifest).await?;
    tracing::info!(size, keys = head.keys, "the backup is whole");
    Ok(Taken {
        source: source.pod.clone(),
        engine_version: head.engine_version,
        size_bytes: size,
        keys: head.keys,
        sha256,
    })
}

/// Asks the data pods in turn, and takes the first that gives its data.
async fn open<'a>(
    task: &'a BackupTask,
    layout: &Layout,
) -> Result<(&'a Source, Snapshot), BackupError> {
    let path = layout.auth_dir.join(REPLICATION);
    let password = fs::read_to_string(&path).map_err(BackupError::file("reading", path))?;
    let credentials = Credentials::new(REPLICATION, password.trim_end());
    let tls = if task.tls {
        let path = layout.tls_dir.join("ca.crt");
        let authority = fs::read(&path).map_err(BackupError::file("reading", path))?;
        let context = TlsContext::new(&authority, None).map_err(|error| BackupError::Material {
            what: "ca.crt of the bus",
            why: error.to_string(),
        })?;
        Some(Arc::new(context))
    } else {
        None
    };
    let mut refusals = Vec::new();
    for source in &task.sources {
        let mut endpoint = Endpoint::new(&source.host, task.port).with_deadline(DEADLINE);
        if let Some(tls) = &tls {
            endpoint = endpoint.with_tls(Arc::clone(tls));
        }
        match Snapshot::request(&endpoint, &credentials).await {
            Ok(snapshot) => return Ok((source, snapshot)),
            Err(error) => {
                tracing::warn!(%error, pod = source.pod, "gives no data");
                refusals.push(error.to_string());
            }
        }
    }
    Err(BackupError::NoSource(refusals.join("; ")))
}

/// Carries the dataset over, and tells what its first bytes say.
async fn copy(
    pod: &str,
    mut from: impl AsyncRead + Unpin,
    mut sealer: Sealer,
    upload: &mut Upload,
) -> Result<Head, BackupError> {
    let broken_off = |source| BackupError::BrokenOff {
        pod: pod.to_owned(),
        source,
    };
    let mut first = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = timeout(SILENCE, from.read(&mut chunk))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(broken_off)?;
        if count == 0 {
            break;
        }
        let bytes = &chunk[..count];
        let room = LONGEST_HEAD.saturating_sub(first.len());
        first.extend_from_slice(&bytes[..count.min(room)]);
        upload.write(sealer.seal(bytes)?.as_ref()).await?;
    }
    upload.write(&sealer.finish()?).await?;
    head(&first).ok_or_else(|| BackupError::NotADataset(pod.to_owned()))
}

pub(crate) fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
