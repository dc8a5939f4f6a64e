//! Where backups are stored, whichever kind of place that is.

use crate::error::BackupError;
use crate::layout::Layout;
use cachebus_api::backup::{Destination, S3};
use cachebus_core::backup::{MANIFEST_FILE, Manifest};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Certificate, ClientOptions, ObjectStore, ObjectStoreExt as _};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a store may fall silent. A whole transfer takes as long as it takes.
const SILENCE: Duration = Duration::from_mins(1);

/// Where backups are stored.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The folder, where it is one of this machine.
    pub(crate) folder: Option<PathBuf>,
}

impl Storage {
    /// Opens a destination with what is mounted for it.
    pub(crate) fn open(destination: &Destination, layout: &Layout) -> Result<Self, BackupError> {
        if let Some(s3) = &destination.s3 {
            let bucket = bucket(s3, layout)?;
            let store: Arc<dyn ObjectStore> = if s3.prefix.is_empty() {
                Arc::new(bucket)
            } else {
                Arc::new(PrefixStore::new(bucket, s3.prefix.as_str()))
            };
            return Ok(Self {
                store,
                folder: None,
            });
        }
        let folder = &layout.backup_dir;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(BackupError::storage("opening the volume"))?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            folder: Some(folder.clone()),
        })
    }

    /// The manifest in a folder. `None`: there is none, and so no backup.
    pub(crate) async fn manifest(&self, folder: &str) -> Result<Option<Manifest>, BackupError> {
        let action = "reading the manifest";
        let found = match self.store.get(&manifest_of(folder)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(BackupError::storage(action))?,
        };
        let text = found.bytes().await.map_err(BackupError::storage(action))?;
        let manifest = serde_json::from_slice(&text).map_err(|error| BackupError::Damaged {
            file: MANIFEST_FILE.to_owned(),
            why: error.to_string(),
        })?;
        Ok(Some(manifest))
    }

    /// Makes a folder a backup.
    pub(crate) async fn complete(
        &self,
        folder: &str,
        manifest: &Manifest,
    ) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(manifest).map_err(BackupError::Task)?;
        let written = self.store.put(&manifest_of(folder), text.into()).await;
        written
            .map(|_| ())
            .map_err(BackupError::storage("writing the manifest"))
    }
}

/// The path of a folder's manifest.
pub(crate) fn manifest_of(folder: &str) -> Path {
    Path::from(format!("{folder}/{MANIFEST_FILE}"))
}

fn bucket(s3: &S3, layout: &Layout) -> Result<object_store::aws::AmazonS3, BackupError> {
    let entry = |name| {
        let path = layout.s3_dir.join(name);
        let text = fs::read_to_string(&path).map_err(BackupError::file("reading", path))?;
        Ok::<_, BackupError>(text.trim().to_owned())
    };
    let mut client = ClientOptions::new()
        .with_no_system_certificates(true)
        .with_timeout_disabled()
        .with_read_timeout(SILENCE);
    for authority in authorities(s3, layout)? {
        client = client.with_root_certificate(authority);
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(&s3.region)
        .with_access_key_id(entry("access-key-id")?)
        .with_secret_access_key(entry("secret-access-key")?)
        .with_virtual_hosted_style_request(!s3.path_style)
        .with_client_options(client);
    if let Some(endpoint) = &s3.endpoint {
        builder = builder
            .with_endpoint(endpoint.trim_end_matches('/'))
            .with_allow_http(endpoint.starts_with("http://"));
    }
    builder
        .build()
        .map_err(BackupError::storage("opening the bucket"))
}

/// Those that are mounted, else the public ones: the image has none of its own.
fn authorities(s3: &S3, layout: &Layout) -> Result<Vec<Certificate>, BackupError> {
    let unusable = |error: object_store::Error| BackupError::Material {
        what: "ca.crt of the store",
        why: error.to_string(),
    };
    if s3.ca_secret.is_none() {
        return webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|authority| Certificate::from_der(authority))
            .collect::<Result<_, _>>()
            .map_err(unusable);
    }
    let path = layout.s3_ca_dir.join("ca.crt");
    let pem = fs::read(&path).map_err(BackupError::file("reading", path))?;
    Certificate::from_pem_bundle(&pem).map_err(unusable)
}
