//! Where a task finds and puts things.

use cachebus_core::names;
use std::path::PathBuf;

/// Folders of one pod: those of [`cachebus_core::names`], others in tests.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Credentials of the S3 store.
    pub s3_dir: PathBuf,
    /// Authorities of its certificate.
    pub s3_ca_dir: PathBuf,
    /// Keys of the backups.
    pub age_dir: PathBuf,
    /// The volume that backups are stored on.
    pub backup_dir: PathBuf,
    /// The mounted internal passwords.
    pub auth_dir: PathBuf,
    /// The bus's authority.
    pub tls_dir: PathBuf,
    /// Where a backup is loaded to prove it.
    pub work_dir: PathBuf,
    /// The volume of the data pod that a backup is restored for.
    pub data_dir: PathBuf,
}

impl Layout {
    /// The layout of a pod.
    #[must_use]
    pub fn of_pod() -> Self {
        Self {
            s3_dir: names::S3_DIR.into(),
            s3_ca_dir: names::S3_CA_DIR.into(),
            age_dir: names::AGE_DIR.into(),
            backup_dir: names::BACKUP_DIR.into(),
            auth_dir: names::AUTH_DIR.into(),
            tls_dir: names::TLS_DIR.into(),
            work_dir: names::WORK_DIR.into(),
            data_dir: names::DATA_DIR.into(),
        }
    }
}
