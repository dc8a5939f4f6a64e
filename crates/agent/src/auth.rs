//! The internal passwords, read when they are needed, so that a rotated one is in use at the next connection.

use crate::error::AgentError;
use cachebus_admin::{Credentials, Secret};
use cachebus_core::credentials::mounted;
use cachebus_core::names::Component;
use std::fs;
use std::path::Path;

/// The mounted password of `user`.
pub(crate) fn credentials(folder: &Path, user: &str) -> Result<Credentials, AgentError> {
    let path = folder.join(user);
    let password = fs::read_to_string(&path).map_err(AgentError::file("reading", path))?;
    Ok(Credentials::new(user, password.trim_end()))
}

/// All passwords that a pod of `component` mounts.
pub(crate) fn secrets(folder: &Path, component: Component) -> Result<Vec<Secret>, AgentError> {
    mounted(component)
        .iter()
        .map(|user| credentials(folder, user).map(|found| found.password))
        .collect()
}
