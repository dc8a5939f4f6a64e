//! Proving a backup: it is brought back, decrypted, and loaded into an engine, which counts its keys.

use crate::error::BackupError;
use crate::fetch::{fetch, find};
use crate::layout::Layout;
use crate::storage::Storage;
use cachebus_admin::{Endpoint, Info, Server};
use cachebus_core::backup::{Loaded, PLAIN_FILE, VerifyTask, judge_load};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// Port of the engine, on the pod's own loopback.
const PORT: &str = "6399";
/// Between two questions whether it has loaded.
const ASK: Duration = Duration::from_millis(200);

pub(crate) async fn verify(task: &VerifyTask, layout: &Layout) -> Result<Loaded, BackupError> {
    let storage = Storage::open(&task.destination, layout)?;
    let manifest = find(&storage, &task.path).await?;
    let file = layout.work_dir.join(PLAIN_FILE);
    fetch(&storage, &task.path, &manifest, layout, &file).await?;
    let program = cachebus_agent::server_program(task.engine);
    let mut engine = start(program, layout)?;
    let loaded = tokio::select! {
        loaded = counted() => loaded,
        ended = engine.wait() => Err(BackupError::NotLoaded(how(program, ended.ok()))),
    };
    // It has served its turn, and dropping it ends it anyway.
    let _ = engine.kill().await;
    let loaded = loaded?;
    match manifest.keys {
        Some(expected) if !judge_load(Some(expected), loaded) => Err(BackupError::KeysDiffer {
            expected,
            found: loaded.keys + loaded.expired,
        }),
        _ => Ok(loaded),
    }
}

fn start(program: &str, layout: &Layout) -> Result<Child, BackupError> {
    Command::new(program)
        .args(["--port", PORT, "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--dbfilename", PLAIN_FILE, "--dir"])
        .arg(&layout.work_dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(BackupError::file("starting", program))
}

/// Waits until the engine has loaded, and asks what it found.
async fn counted() -> Result<Loaded, BackupError> {
    let endpoint = Endpoint::new("127.0.0.1", PORT.parse().unwrap_or_default());
    loop {
        if let Ok(server) = Server::connect(&endpoint, None).await
            && let Ok(info) = server.info().await
            && !info.loading
        {
            return figures(&info).ok_or_else(|| {
                BackupError::NotLoaded("the engine does not tell how much it has loaded".to_owned())
            });
        }
        sleep(ASK).await;
    }
}

fn figures(info: &Info) -> Option<Loaded> {
    let figure = |name: &str| info.raw.get(name)?.parse().ok();
    Some(Loaded {
        keys: figure("rdb_last_load_keys_loaded")?,
        expired: figure("rdb_last_load_keys_expired")?,
    })
}

fn how(program: &str, ended: Option<ExitStatus>) -> String {
    match ended {
        Some(status) => format!("{program} ended with {status}"),
        None => format!("{program} ended"),
    }
}
