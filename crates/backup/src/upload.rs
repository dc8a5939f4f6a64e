//! A file on its way to where it is stored. What is not finished leaves nothing behind but what the store keeps for itself.

use crate::error::BackupError;
use crate::storage::Storage;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Bytes of a part. Ten thousand of them, as many as stores take, are 160 GB.
const PART: usize = 16 << 20;
/// Parts on their way at once.
const AT_ONCE: usize = 3;

/// A file on its way.
pub(crate) struct Upload {
    parts: WriteMultipart,
    sha256: Sha256,
    size: u64,
}

/// A file that is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl Upload {
    pub(crate) async fn begin(storage: &Storage, path: &Path) -> Result<Self, BackupError> {
        let upload = storage
            .store
            .put_multipart(path)
            .await
            .map_err(BackupError::storage("beginning to store"))?;
        Ok(Self {
            parts: WriteMultipart::new_with_chunk_size(upload, PART),
            sha256: Sha256::new(),
            size: 0,
        })
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.parts
            .wait_for_capacity(AT_ONCE)
            .await
            .map_err(BackupError::storage("storing"))?;
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
        self.parts.write(bytes);
        Ok(())
    }

    pub(crate) async fn finish(self) -> Result<Stored, BackupError> {
        self.parts
            .finish()
            .await
            .map_err(BackupError::storage("storing"))?;
        Ok(Stored {
            size: self.size,
            sha256: hex(&self.sha256.finalize()),
        })
    }

    /// Takes back what is stored of it.
    pub(crate) async fn abort(self) {
        if let Err(error) = self.parts.abort().await {
            tracing::warn!(%error, "parts of the unfinished file may be left in the store");
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
