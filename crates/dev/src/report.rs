//! What a person is told.

use crate::session::Applied;
use cachebus_core::bus::Bus;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// What is served, and how each service connects. `show`: with passwords.
pub(crate) fn ready(
    out: &mut dyn Write,
    bus: &Bus,
    place: &str,
    differs: Option<&str>,
    bindings: &Path,
    show: bool,
) -> io::Result<()> {
    write!(out, "bus {} by {place}", bus.names.bus())?;
    if let Some(differs) = differs {
        write!(out, "; {differs}")?;
    }
    writeln!(out)?;
    for service in &bus.spec.services {
        let folder = bindings.join(&service.name);
        writeln!(out, "\n# {}", service.name)?;
        writeln!(out, "export CACHEBUS_BINDING={}", quoted(&folder))?;
        if show {
            writeln!(
                out,
                "redis-cli -u {}",
                fs::read_to_string(folder.join("uri"))?
            )?;
        }
    }
    writeln!(out, "\nThe file is followed. Ctrl-C ends it.")
}

/// What a change of the file came to; nothing where it came to nothing.
pub(crate) fn applied(out: &mut dyn Write, file: &Path, applied: &Applied) -> io::Result<()> {
    let library = applied.library.then(|| "functions loaded".to_owned());
    let list = |what: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let parts: Vec<String> = [
        list("rights of", &applied.set),
        list("removed", &applied.removed),
        list("set", &applied.settings),
        library,
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        writeln!(out, "{}: taken up", file.display())
    } else {
        writeln!(out, "{}: {}", file.display(), parts.join("; "))
    }
}

/// A path as shells take it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_change_is_told_in_a_line() {
        let said = |change: &Applied| {
            let mut out = Vec::new();
            applied(&mut out, Path::new("b.yaml"), change).unwrap();
            String::from_utf8(out).unwrap()
        };
        let change = Applied {
            set: vec!["a".to_owned(), "b".to_owned()],
            removed: vec!["c".to_owned()],
            settings: vec!["maxmemory".to_owned()],
            library: false,
        };
        assert_eq!(
            said(&change),
            "b.yaml: rights of a, b; removed c; set maxmemory\n"
        );
        assert_eq!(said(&Applied::default()), "b.yaml: taken up\n");
    }

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted(Path::new("/a/b-1")), "/a/b-1");
        assert_eq!(quoted(Path::new("/my bus/it's")), r"'/my bus/it'\''s'");
    }
}
