//! Buses for tests.

use cachebus_core::bus::{Bus, electorate};
use cachebus_core::engine::capabilities;
use cachebus_core::names::Names;

/// UID of every bus that is made here.
pub const UID: &str = "11111111-2222-3333-4444-555555555555";

/// The bus `b` in namespace `n`, its spec from YAML.
pub fn bus(yaml: &str) -> Bus {
    let spec: cachebus_api::CacheBusSpec = serde_saphyr::from_str(yaml).unwrap();
    let engine = capabilities(spec.engine.kind, &spec.engine.version).unwrap();
    Bus {
        names: Names::new("b", "n", "cluster.local"),
        uid: UID.to_owned(),
        generation: 1,
        replicas: spec.replicas,
        electorate: electorate(&spec),
        spec,
        engine,
        image: "engine".to_owned(),
    }
}
