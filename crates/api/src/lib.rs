//! The custom resources `CacheBus` and `CacheBusBackup`, `cachebus.dev/v1alpha1`: types, defaults and CEL rules.
//!
//! What the API server can check it checks from the rules written here; what CEL cannot say is checked by
//! `cachebus_core::validate` and shown as the condition `Valid`.

pub mod access;
pub mod backup;
pub mod contract;
pub mod crd;
pub mod duration;
pub mod engine;
pub mod persistence;
pub mod pods;
pub mod quantity;
mod rules;
pub mod settings;
pub mod spec;
pub mod status;

pub use backup::{CacheBusBackup, CacheBusBackupSpec};
pub use duration::Duration;
pub use quantity::Bytes;
pub use spec::{CacheBus, CacheBusSpec};
pub use status::{BackupStatus, CacheBusStatus};

/// API group of every custom resource of the project.
pub const GROUP: &str = "cachebus.dev";
