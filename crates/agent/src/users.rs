//! The server's users, which follow the mounted ACL file or the operator's order, whichever changed last.

use crate::error::AgentError;
use cachebus_admin::{Acl, AclFile, AclFileError, AclLedger, diff};
use cachebus_core::acl::digest;
use std::fs;
use std::path::{Path, PathBuf};

/// What the users shall be, and what is known of them.
#[derive(Debug)]
pub(crate) struct Users {
    mounted_at: PathBuf,
    /// The mounted text as last read; a difference is a change of the Secret.
    mounted: String,
    wanted: Wanted,
    ledger: AclLedger,
    progress: Progress,
    /// The users of the running server were brought in line once, as far as it took them.
    begun: bool,
}

/// How far the live users are from what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Not known.
    Untried,
    /// All that the server takes is done, and it refuses some of it.
    Refused,
    /// They were last seen to equal it.
    Settled,
}

#[derive(Debug)]
struct Wanted {
    text: String,
    file: AclFile,
}

impl Wanted {
    fn new(text: String) -> Result<Self, AclFileError> {
        let file = AclFile::parse(&text)?;
        Ok(Self { text, file })
    }
}

impl Users {
    /// Begins with the mounted file.
    pub(crate) fn open(mounted_at: PathBuf) -> Result<Self, AgentError> {
        let mounted = read(&mounted_at)?;
        let wanted = Wanted::new(mounted.clone()).map_err(|source| AgentError::AclFile {
            path: mounted_at.clone(),
            source,
        })?;
        Ok(Self {
            mounted_at,
            mounted,
            wanted,
            ledger: AclLedger::new(),
            progress: Progress::Untried,
            begun: false,
        })
    }

    /// Looks whether the mounted file has changed. It is read, not watched: kubelet swaps a folder of links, and a watch of
    /// those is lost at the swap. A text that is none for a server is refused once and the users stay as they are.
    pub(crate) fn refresh(&mut self) -> Result<(), AgentError> {
        let mounted = read(&self.mounted_at)?;
        if mounted == self.mounted {
            return Ok(());
        }
        self.mounted.clone_from(&mounted);
        self.want(mounted).map_err(|source| AgentError::AclFile {
            path: self.mounted_at.clone(),
            source,
        })
    }

    /// Wants this text from now on, until the mounted file changes.
    pub(crate) fn want(&mut self, text: String) -> Result<(), AclFileError> {
        if text != self.wanted.text {
            self.wanted = Wanted::new(text)?;
            self.progress = Progress::Untried;
        }
        Ok(())
    }

    /// A server that has just started knows what its file told it, which an order may have overtaken.
    pub(crate) fn server_started(&mut self) {
        self.ledger = AclLedger::new();
        self.progress = Progress::Untried;
        self.begun = false;
    }

    /// Whether what is wanted was tried on the running server. A user that it refuses is refused again a moment later.
    pub(crate) fn tried(&self) -> bool {
        self.progress != Progress::Untried
    }

    /// Whether the users of the running server were brought in line once, as far as it took them. One user that it refuses
    /// must not take the others' primary away.
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// Digest of the text that the live users were last seen to equal.
    pub(crate) fn digest(&self) -> Option<String> {
        (self.progress == Progress::Settled).then(|| digest(&self.wanted.text))
    }

    /// Brings the live users in line where they are not.
    pub(crate) async fn settle(&mut self, acl: Acl<'_>) -> Result<(), cachebus_admin::Error> {
        let live = acl.list().await?;
        let changes = diff(&self.wanted.file, &live, &self.ledger);
        let report = acl.apply(&changes, &mut self.ledger).await?;
        for (user, error) in &report.failed {
            tracing::warn!(user, %error, reason = error.reason(), "user not changed");
        }
        if !(report.set.is_empty() && report.deleted.is_empty()) {
            tracing::info!(set = ?report.set, deleted = ?report.deleted, "users changed");
        }
        self.progress = if report.failed.is_empty() {
            Progress::Settled
        } else {
            Progress::Refused
        };
        self.begun = true;
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, AgentError> {
    fs::read_to_string(path).map_err(AgentError::file("reading", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DEFAULT: &str = "user default off resetpass ~* &* +@all\n";

    fn text(user: &str) -> String {
        format!("{DEFAULT}user {user} on ~* +get\n")
    }

    fn opened(folder: &Path) -> Users {
        let path = folder.join("redis.acl");
        fs::write(&path, text("first")).unwrap();
        Users::open(path).unwrap()
    }

    #[test]
    fn the_later_of_file_and_order_wins() {
        let folder = tempfile::tempdir().unwrap();
        let mut users = opened(folder.path());

        users.want(text("ordered")).unwrap();
        users.refresh().unwrap();
        assert_eq!(users.wanted.text, text("ordered"));

        fs::write(folder.path().join("redis.acl"), text("second")).unwrap();
        users.refresh().unwrap();
        assert_eq!(users.wanted.text, text("second"));

        users.want(text("third")).unwrap();
        users.refresh().unwrap();
        assert_eq!(users.wanted.text, text("third"));
    }

    #[test]
    fn a_broken_file_changes_nothing_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut users = opened(folder.path());
        fs::write(folder.path().join("redis.acl"), "user default on nopass\n").unwrap();
        let error = users.refresh().unwrap_err();
        assert_eq!(error.reason(), "AclFileInvalid");
        assert_eq!(users.wanted.text, text("first"));
        users.refresh().unwrap();
    }

    #[test]
    fn another_text_is_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let mut users = opened(folder.path());
        users.progress = Progress::Settled;
        users.want(text("first")).unwrap();
        assert_eq!(users.digest(), Some(digest(&text("first"))));
        users.want(text("second")).unwrap();
        assert_eq!(users.digest(), None);
    }
}
