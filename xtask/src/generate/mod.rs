//! Files that are made from the source: `cargo xtask generate`.

mod client_api;
mod directives;
mod reference;
mod roles;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use cachebus_core::rbac;

use crate::progress::note;
use crate::workspace;

/// A file that is made from the source.
struct Generated {
    /// Where it is kept, seen from the root of the workspace.
    path: PathBuf,
    content: String,
}

/// The operator's Lease, as the chart names it.
const LEASE: &str = r#"{{ include "cachebus.fullname" . | quote }}"#;

/// Every generated file.
fn all() -> anyhow::Result<Vec<Generated>> {
    let bus = serde_saphyr::to_string(&cachebus_api::crd::definition())?;
    let backup = serde_saphyr::to_string(&cachebus_api::crd::backup_definition())?;
    let files = [
        ("crds/cachebus.yaml", bus.clone()),
        ("crds/cachebusbackup.yaml", backup.clone()),
        ("charts/cachebus-crds/files/cachebus.yaml", bus),
        ("charts/cachebus-crds/files/cachebusbackup.yaml", backup),
        ("docs/reference/cachebus.md", reference::reference()?),
        (
            "docs/reference/cachebusbackup.md",
            reference::backup_reference()?,
        ),
        ("docs/reference/directives.md", directives::directives()?),
        ("clients/rust/public-api.txt", client_api::client_api()?),
        (
            "charts/cachebus/files/rules.yaml",
            roles::rules(rbac::RULES, None)?,
        ),
        (
            "charts/cachebus/files/cluster-rules.yaml",
            roles::rules(rbac::CLUSTER_RULES, None)?,
        ),
        (
            "charts/cachebus/files/leader-rules.yaml",
            roles::rules(rbac::LEADER_RULES, Some(LEASE))?,
        ),
    ];
    Ok(files
        .into_iter()
        .map(|(path, content)| Generated {
            path: path.into(),
            content,
        })
        .collect())
}

/// Writes what differs; with `check` only names it, as an error.
pub fn run(check: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for Generated { path, content } in all()? {
        let target = workspace::root().join(&path);
        if fs::read_to_string(&target).is_ok_and(|current| current == content) {
            continue;
        }
        if !check {
            if let Some(dir) = target.parent() {
                fs::create_dir_all(dir)?;
            }
            fs::write(&target, content)
                .with_context(|| format!("cannot write {}", target.display()))?;
            note(format_args!("wrote {}", path.display()));
        }
        stale.push(path.display().to_string());
    }
    if check && !stale.is_empty() {
        bail!(
            "these files are not what the source says; run `cargo xtask generate`: {}",
            stale.join(", ")
        );
    }
    Ok(())
}
