//! Which directives `spec.config` takes, and which it refuses and why.

use std::fmt::Write as _;

use cachebus_core::config::{REFUSED, accepted};

/// `docs/reference/directives.md`.
pub(super) fn directives() -> anyhow::Result<String> {
    let mut page = String::from(
        "# Directives of `spec.config`\n\nMade from the source by `cargo xtask generate`.\n\nA directive that is refused, that the engine does not know, or whose value it would not take makes the \
         condition `Valid` false, names itself there, and changes nothing on the bus: a server does not start with a directive it does not take.\n\n\
         ## Taken\n\n| directive | value | engines | takes effect |\n| --- | --- | --- | --- |\n",
    );
    for directive in accepted() {
        let engines: Vec<_> = directive
            .engines
            .iter()
            .map(|(engine, _)| format!("{:?} {}", engine.kind, engine.version))
            .collect();
        let known = if engines.len() == cachebus_core::engine::SUPPORTED.len() {
            "all".to_owned()
        } else {
            engines.join(", ")
        };
        let live = directive.engines.iter().filter(|(_, live)| *live).count();
        let effect = match live {
            0 => "at a restart",
            n if n == directive.engines.len() => "at once",
            _ => "at once or at a restart, by engine",
        };
        writeln!(
            page,
            "| `{}` | {} | {known} | {effect} |",
            directive.directive, directive.takes
        )?;
    }
    page.push_str("\n## Refused\n\n| directive | why |\n| --- | --- |\n");
    for refused in REFUSED {
        writeln!(page, "| `{}` | {} |", refused.directive, refused.why)?;
    }
    Ok(page)
}
