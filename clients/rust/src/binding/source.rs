//! Where a binding comes from.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Binding, ENTRIES, Entries};
use crate::error::{Error, Result};

const PROVIDER: &str = "cachebus";
const FOLDER: &str = "CACHEBUS_BINDING";
const ROOT: &str = "SERVICE_BINDING_ROOT";

/// kubelet writes a new folder and then turns this link to it: what it leads to is always whole.
const SWAPPED: &str = "..data";

/// How often a folder is read that changes while it is read.
const ATTEMPTS: usize = 3;

/// Where a binding comes from: a mounted Secret, variables, or a URL. Holds secrets; has no `Debug` output.
#[derive(Clone)]
pub struct Source(Kind);

#[derive(Clone)]
enum Kind {
    Folder(PathBuf),
    Entries(Entries),
}

impl Source {
    /// A mounted Secret, one file for each entry. It is read again every second: what changes is in use at once.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Folder(path.into()))
    }

    /// Variables named after the entries: `CACHEBUS_HOST`, `CACHEBUS_CA_CRT`, `CACHEBUS_CONTRACT_JSON`, …
    pub fn variables<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        Self(Kind::Entries(entries(&collected(variables))))
    }

    /// `redis://user:password@host:port` (`rediss` with TLS) and the text of a contract.
    pub fn url(url: impl Into<String>, contract: impl Into<String>) -> Self {
        Self(Kind::Entries(Entries::from([
            ("uri", url.into()),
            ("contract.json", contract.into()),
        ])))
    }

    /// The same, and the authority (PEM) that servers' certificates are of. A folder brings its own.
    #[must_use]
    pub fn with_ca(mut self, pem: impl Into<String>) -> Self {
        if let Kind::Entries(entries) = &mut self.0 {
            entries.insert("ca.crt", pem.into());
        }
        self
    }

    /// The binding of this process: the folder `$CACHEBUS_BINDING`, else the one of provider `cachebus` below
    /// `$SERVICE_BINDING_ROOT`, else [`Source::variables`] of the environment; [`Error::Binding`] where there is none of them.
    pub fn discover() -> Result<Self> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::discovered(&std::env::vars_os().filter_map(text).collect())
    }

    fn discovered(variables: &BTreeMap<String, String>) -> Result<Self> {
        let given = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        if let Some(folder) = given(FOLDER) {
            return Ok(Self::folder(folder));
        }
        if let Some(root) = given(ROOT) {
            match bindings_below(Path::new(root)).as_slice() {
                [] => {}
                [folder] => return Ok(Self::folder(folder)),
                _ => {
                    return Err(Error::Binding(format!(
                        "{root} holds more than one cachebus binding: set {FOLDER}"
                    )));
                }
            }
        }
        let entries = entries(variables);
        if entries.contains_key("host") || entries.contains_key("uri") {
            return Ok(Self(Kind::Entries(entries)));
        }
        Err(Error::Binding(format!(
            "no binding: set {FOLDER}, {ROOT} or CACHEBUS_HOST"
        )))
    }

    /// Reads the binding; [`Error::Binding`] where that fails. Blocks for the time that it takes to read a few small files.
    pub fn load(&self) -> Result<Binding> {
        Binding::of(&self.entries()?)
    }

    pub(super) fn entries(&self) -> Result<Entries> {
        match &self.0 {
            Kind::Entries(entries) => Ok(entries.clone()),
            Kind::Folder(folder) => folder_entries(folder),
        }
    }

    pub(super) fn may_change(&self) -> bool {
        matches!(self.0, Kind::Folder(_))
    }
}

fn collected<N: Into<String>, V: Into<String>>(
    variables: impl IntoIterator<Item = (N, V)>,
) -> BTreeMap<String, String> {
    variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn entries(variables: &BTreeMap<String, String>) -> Entries {
    ENTRIES
        .into_iter()
        .filter_map(|entry| Some((entry, variables.get(&variable(entry))?.clone())))
        .collect()
}

fn variable(entry: &str) -> String {
    format!(
        "CACHEBUS_{}",
        entry.to_ascii_uppercase().replace(['.', '-'], "_")
    )
}

fn bindings_below(root: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(root).into_iter().flatten().flatten();
    folders
        .map(|entry| entry.path())
        .filter(|folder| {
            fs::read_to_string(folder.join("provider"))
                .is_ok_and(|provider| provider.trim() == PROVIDER)
        })
        .collect()
}

/// All of one version: entries of two do not fit together.
fn folder_entries(folder: &Path) -> Result<Entries> {
    let mut read = Err(Error::Binding(format!(
        "{} changes while it is read",
        folder.display()
    )));
    for _ in 0..ATTEMPTS {
        let version = fs::read_link(folder.join(SWAPPED)).ok();
        let whole = match &version {
            Some(version) => folder.join(version),
            None => folder.to_owned(),
        };
        read = files(&whole, folder);
        if fs::read_link(folder.join(SWAPPED)).ok() == version {
            break;
        }
    }
    read
}

fn files(whole: &Path, named: &Path) -> Result<Entries> {
    let mut entries = Entries::new();
    for name in ENTRIES {
        match fs::read_to_string(whole.join(name)) {
            Ok(text) => {
                entries.insert(name, text.trim_matches('\n').to_owned());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => {
                return Err(Error::Binding(format!(
                    "{} cannot be read",
                    named.join(name).display()
                )));
            }
        }
    }
    if entries.is_empty() {
        return Err(Error::Binding(format!(
            "{} holds no binding",
            named.display()
        )));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Source> {
        Source::discovered(&collected(variables.iter().copied()))
    }

    fn error(source: Result<Source>) -> String {
        source.err().unwrap().to_string()
    }

    fn write(folder: &Path, entries: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        for (name, text) in entries {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn a_folder_comes_before_a_root_and_a_root_before_variables() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_str().unwrap();
        write(&root.path().join("db"), &[("provider", "postgres")]);
        write(
            &root.path().join("bus"),
            &[("provider", "cachebus\n"), ("host", "below\n")],
        );
        let variables = [(ROOT, path), ("CACHEBUS_HOST", "variable")];
        let host = |source: Source| source.entries().unwrap()["host"].clone();
        assert_eq!(host(found(&variables).unwrap()), "below");
        assert_eq!(host(found(&variables[1..]).unwrap()), "variable");
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("host", "named")]);
        let named = (FOLDER, folder.path().to_str().unwrap());
        let all = [variables.as_slice(), &[named]].concat();
        assert_eq!(host(found(&all).unwrap()), "named");
    }

    #[test]
    fn none_and_several_are_told_apart() {
        assert!(error(found(&[])).starts_with("no binding"));
        let root = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            write(&root.path().join(name), &[("provider", "cachebus")]);
        }
        let several = error(found(&[(ROOT, root.path().to_str().unwrap())]));
        assert!(several.contains("more than one"), "{several}");
    }

    #[test]
    fn variables_are_named_after_entries() {
        let source = Source::variables([
            ("CACHEBUS_HOST", "h"),
            ("CACHEBUS_CA_CRT", "PEM"),
            ("CACHEBUS_SENTINEL_PORT", "1"),
            ("HOST", "other"),
        ]);
        let entries = source.entries().unwrap();
        assert_eq!(entries.len(), 3);
        assert_eq!(entries["ca.crt"], "PEM");
        assert_eq!(entries["sentinel-port"], "1");
    }

    #[test]
    fn a_swapped_folder_is_read_through_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (version, host) in [("..1", "one"), ("..2", "two")] {
            write(&path.join(version), &[("host", host)]);
        }
        symlink("..1", path.join(SWAPPED)).unwrap();
        symlink(Path::new(SWAPPED).join("host"), path.join("host")).unwrap();
        let source = Source::folder(path);
        assert_eq!(source.entries().unwrap()["host"], "one");
        symlink("..2", path.join("..new")).unwrap();
        fs::rename(path.join("..new"), path.join(SWAPPED)).unwrap();
        assert_eq!(source.entries().unwrap()["host"], "two");
    }

    #[test]
    fn an_empty_folder_is_no_binding() {
        let folder = tempfile::tempdir().unwrap();
        let error = Source::folder(folder.path()).entries().unwrap_err();
        assert!(error.to_string().ends_with("holds no binding"), "{error}");
    }
}
