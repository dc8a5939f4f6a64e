//! The engine's program in this image.

use crate::error::AgentError;
use cachebus_api::engine::EngineKind;
use cachebus_core::protocol::EngineReport;
use tokio::process::Command;

/// The server's program, looked up on `PATH`. With `--sentinel` it is the Sentinel.
#[must_use]
pub fn program(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Redis => "redis-server",
        EngineKind::Valkey => "valkey-server",
    }
}

/// Asks the program for its version.
pub(crate) async fn report(kind: EngineKind) -> Result<EngineReport, AgentError> {
    let program = program(kind);
    let output = Command::new(program)
        .arg("--version")
        .output()
        .await
        .map_err(|source| AgentError::Spawn {
            program: program.to_owned(),
            source,
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    match version(&text) {
        Some(version) => Ok(EngineReport {
            kind,
            version: version.to_owned(),
        }),
        None => Err(AgentError::Version {
            program: program.to_owned(),
        }),
    }
}

fn version(text: &str) -> Option<&str> {
    text.split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("v="))
        .filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_tell_their_version() {
        assert_eq!(
            version(
                "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d"
            ),
            Some("7.0.15")
        );
        assert_eq!(
            version("Valkey server v=9.1.2 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1"),
            Some("9.1.2")
        );
        assert_eq!(version("server v=unknown"), None);
    }
}
