//! ACL users of a server or a Sentinel, and how they follow a file.

mod changes;
mod commands;
mod file;
mod ledger;
mod rules;
mod selector;

pub use changes::{AclChange, ApplyReport, diff};
pub use commands::{Acl, DryRun};
pub use file::{AclFile, AclFileError, DEFAULT_USER_RULES};
pub use ledger::AclLedger;
