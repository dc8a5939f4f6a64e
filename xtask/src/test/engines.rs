//! What speaks to an engine, against every supported one.

use anyhow::{Context as _, ensure};

use crate::image::STATIC_TARGET;
use crate::lab::{ENGINES, Lab, docker};
use crate::progress::step;

use super::cargo_targets::build_beside_engine;

/// Tests freeze servers with `kill`, which an engine's image may only have inside its shell. A Sentinel takes nobody for the
/// primary whose name does not resolve.
const START: &str = r#"
    echo 127.0.0.1 b-redis-2.b-redis-nodes.ns.svc.cluster.local >>/etc/hosts
    command -v /usr/bin/kill >/dev/null || {
        printf '#!/bin/sh\nkill "$@"\n' >/usr/local/bin/kill
        chmod 755 /usr/local/bin/kill
    }
    exec /test --quiet
"#;

pub(super) fn check() -> anyhow::Result<()> {
    let lab = Lab::open(None)?;
    lab.build()?;
    let programs = step("building the tests", || build_beside_engine(STATIC_TARGET))?;
    ensure!(
        !programs.is_empty(),
        "there are no tests that need an engine"
    );
    for engine in ENGINES {
        for program in &programs {
            step(format_args!("testing against {}", engine.key), || {
                docker()
                    .args(["run", "--rm", "--init", "--network", "none"])
                    .args(["--entrypoint", "sh", "--volume"])
                    .arg(format!("{}:/test:ro", program.display()))
                    .arg("--env")
                    .arg(format!("CACHEBUS_TEST_SERVER={}", engine.server()))
                    .args([engine.image(lab.source()), "-euc", START])
                    .output()
                    .with_context(|| format!("on {}", engine.key))
            })?;
        }
    }
    Ok(())
}
