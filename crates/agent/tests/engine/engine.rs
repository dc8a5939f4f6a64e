//! The engine that these tests run.

use cachebus_api::engine::EngineKind;
use cachebus_core::engine::{Capabilities, capabilities};
use std::env;
use std::path::Path;
use std::process::Command;

/// The server's program.
pub fn server() -> String {
    let named = env::var("CACHEBUS_TEST_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let program = Path::new(&named).file_name().unwrap();
    program.to_str().unwrap().to_owned()
}

pub fn kind() -> EngineKind {
    if server().starts_with("valkey") {
        EngineKind::Valkey
    } else {
        EngineKind::Redis
    }
}

/// The command-line client.
pub fn client() -> &'static str {
    match kind() {
        EngineKind::Redis => "redis-cli",
        EngineKind::Valkey => "valkey-cli",
    }
}

/// What the engine can do, by the version that its program tells.
pub fn under_test() -> &'static Capabilities {
    let output = Command::new(server()).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))
        .unwrap();
    let minor = version.rsplit_once('.').unwrap().0;
    capabilities(kind(), minor).unwrap_or_else(|| panic!("{version} is not supported"))
}
