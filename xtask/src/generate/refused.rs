//! The list of directives that `spec.config` may not set.

use std::fmt::Write as _;

use cachebus_core::config::REFUSED;

/// `docs/reference/refused-directives.md`.
pub(super) fn refused_directives() -> anyhow::Result<String> {
    let mut page = String::from(
        "# Refused directives\n\nMade from the source by `cargo xtask generate`. `spec.config` takes any directive of the engine but these. A refused one makes \
         the condition `Valid` false, names itself there, and changes nothing on the bus.\n\n| directive | why |\n| --- | --- |\n",
    );
    for refused in REFUSED {
        writeln!(page, "| `{}` | {} |", refused.directive, refused.why)?;
    }
    Ok(page)
}
