//! How the agent gets into a pod whose image knows nothing of it.

use crate::error::AgentError;
use cachebus_core::names::{ETC_HOSTS, HOSTS};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const OWN_PROGRAM: &str = "/proc/self/exe";

/// Copies this program to `dest`, executable by all. It appears there whole or not at all. Beside it goes what kubelet has this pod
/// know of itself, for the agent to add what it knows of the others.
pub fn install(dest: &Path) -> Result<(), AgentError> {
    let hosts = dest.with_file_name(HOSTS);
    fs::copy(ETC_HOSTS, &hosts).map_err(AgentError::file("writing", &hosts))?;
    let beside = dest.with_extension("new");
    fs::copy(OWN_PROGRAM, &beside).map_err(AgentError::file("writing", &beside))?;
    fs::set_permissions(&beside, Permissions::from_mode(0o755))
        .map_err(AgentError::file("making executable", &beside))?;
    fs::rename(&beside, dest).map_err(AgentError::file("naming", dest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_copy_is_this_program_and_executable() {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("cachebus");
        fs::write(&dest, "an older one").unwrap();

        install(&dest).unwrap();

        assert_eq!(
            fs::read(&dest).unwrap(),
            fs::read(std::env::current_exe().unwrap()).unwrap()
        );
        assert_eq!(
            fs::metadata(&dest).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert_eq!(
            fs::read(folder.path().join(HOSTS)).unwrap(),
            fs::read(ETC_HOSTS).unwrap()
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
