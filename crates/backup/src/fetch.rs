//! Bringing a backup back: decrypted, and checked against its manifest.

use crate::error::BackupError;
use crate::keys;
use crate::layout::Layout;
use crate::storage::Storage;
use crate::upload::hex;
use age::Decryptor;
use cachebus_core::backup::Manifest;
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as StorePath;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio_util::compat::{FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use tokio_util::io::StreamReader;

/// Finds the backup in a folder.
pub(crate) async fn find(storage: &Storage, folder: &str) -> Result<Manifest, BackupError> {
    let found = storage.manifest(folder).await?;
    found.ok_or_else(|| BackupError::NoBackup(folder.to_owned()))
}

/// Writes the data of a backup to `target`, durably. What it writes while it cannot be known to be whole is left for the caller to
/// rename or to forget.
pub(crate) async fn fetch(
    storage: &Storage,
    folder: &str,
    manifest: &Manifest,
    layout: &Layout,
    target: &Path,
) -> Result<(), BackupError> {
    let path = StorePath::from(format!("{folder}/{}", manifest.file));
    let found = storage
        .store
        .get(&path)
        .await
        .map_err(BackupError::storage("reading the backup"))?;
    let tally = Arc::new(Mutex::new((Sha256::new(), 0_u64)));
    let counting = Arc::clone(&tally);
    let stream = found
        .into_stream()
        .inspect_ok(move |bytes| {
            let mut tally = counting.lock().unwrap_or_else(PoisonError::into_inner);
            tally.0.update(bytes);
            tally.1 += bytes.len() as u64;
        })
        .map_err(io::Error::from);
    let stored = StreamReader::new(stream);
    if manifest.encrypted {
        let identity = keys::identity(&layout.age_dir)?;
        let decryptor = Decryptor::new_async(stored.compat())
            .await
            .map_err(|error| undeciphered(&error))?;
        let plain = decryptor
            .decrypt_async(std::iter::once(&identity as &dyn age::Identity))
            .map_err(|error| undeciphered(&error))?;
        write(plain.compat(), target, manifest).await?;
    } else {
        write(stored, target, manifest).await?;
    }
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let damaged = |why: String| BackupError::Damaged {
        file: manifest.file.clone(),
        why,
    };
    if tally.1 != manifest.size_bytes {
        let (there, told) = (tally.1, manifest.size_bytes);
        return Err(damaged(format!("it has {there} bytes in place of {told}")));
    }
    if hex(&tally.0.clone().finalize()) != manifest.sha256 {
        return Err(damaged("its SHA-256 is another one".to_owned()));
    }
    Ok(())
}

async fn write(
    from: impl AsyncRead,
    target: &Path,
    manifest: &Manifest,
) -> Result<(), BackupError> {
    let mut from = std::pin::pin!(from);
    let mut file = File::create(target)
        .await
        .map_err(BackupError::file("writing", target))?;
    tokio::io::copy(&mut from, &mut file)
        .await
        .map_err(|error| BackupError::Damaged {
            file: manifest.file.clone(),
            why: error.to_string(),
        })?;
    file.flush()
        .await
        .map_err(BackupError::file("writing", target))?;
    file.sync_all()
        .await
        .map_err(BackupError::file("writing", target))
}

fn undeciphered(error: &age::DecryptError) -> BackupError {
    BackupError::Cipher {
        action: "decrypting",
        why: error.to_string(),
    }
}
