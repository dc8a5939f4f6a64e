//! What speaks to an engine, against every supported one.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::command::Cmd;
use crate::lab::{ENGINES, EngineImage, Lab, docker};
use crate::progress::step;

use super::cargo_targets::{Program, build_beside_engine};
use super::{SEED, Turn};

/// Tests freeze servers with `kill`, which an engine's image may only have inside its shell. Pods of a bus of several have a
/// name and an address each, and a Sentinel takes nobody for the primary whose name does not resolve.
const START: &str = r#"
    echo 127.0.0.1 b-redis-2.b-redis-nodes.ns.svc.cluster.local >>/etc/hosts
    command -v /usr/bin/kill >/dev/null || {
        printf '#!/bin/sh\nkill "$@"\n' >/usr/local/bin/kill
        chmod 755 /usr/local/bin/kill
    }
    for bus in 1 2 3 4 5 6 7 8 9; do
        for pod in 0 1 2; do
            echo "127.1.$bus.1$pod b-redis-$pod.b-redis-nodes.n$bus.svc.cluster.local"
            echo "127.1.$bus.2$pod b-sentinel-$pod.b-sentinel-nodes.n$bus.svc.cluster.local"
        done
    done >>/etc/hosts
    exec /test --quiet "$@"
"#;

/// Tests beside a database, and where its programs are in the lab's image.
const BESIDE_POSTGRES: &str = "outbox::";
const POSTGRES: &str = "CACHEBUS_TEST_POSTGRES=/usr/lib/postgresql/15/bin";

pub(super) fn check(turn: Turn, seed: u64) -> anyhow::Result<()> {
    let lab = Lab::open(None)?;
    lab.build()?;
    let programs = step("building the tests", build_beside_engine)?;
    ensure!(
        !programs.is_empty(),
        "there are no tests that need an engine"
    );
    on_every_engine(&lab, &programs, turn, seed)?;
    let postgres = lab.postgres()?;
    step("testing against PostgreSQL", || {
        let mut ran = false;
        for program in &programs {
            ran |= beside_postgres(postgres, &program.path)?;
        }
        ensure!(ran, "no test is of {BESIDE_POSTGRES}");
        Ok(())
    })
}

/// Tests mostly wait, and no engine's wait for another's, nor the client's for the product's: those are tested against one engine
/// after another.
fn on_every_engine(lab: &Lab, programs: &[Program], turn: Turn, seed: u64) -> anyhow::Result<()> {
    let (of_client, of_product): (Vec<_>, Vec<_>) =
        programs.iter().partition(|program| program.of_client);
    let on = |engine: &EngineImage, programs: &[&Program]| {
        test(lab, engine, programs, seed).with_context(|| format!("on {}", engine.key))
    };
    let (on, of_product) = (&on, of_product.as_slice());
    std::thread::scope(|scope| {
        let mut running: Vec<_> = ENGINES
            .iter()
            .map(|engine| {
                let run = scope.spawn(move || on(engine, of_product));
                (format!("testing against {}", engine.key), run)
            })
            .collect();
        let clients = scope.spawn(|| {
            ENGINES
                .iter()
                .enumerate()
                .filter(|(place, _)| turn.is_of(*place, ENGINES.len()))
                .try_for_each(|(_, engine)| on(engine, &of_client))
        });
        running.push(("testing the client".to_owned(), clients));
        for (name, run) in running {
            step(name, || run.join().unwrap_or_else(|_| bail!("it panicked")))?;
        }
        Ok(())
    })
}

/// Runs those of a program's tests that need a database; whether it has any.
fn beside_postgres(image: &str, program: &Path) -> anyhow::Result<bool> {
    let printed = beside(program, "redis-server")
        .args(["--env", POSTGRES, image, "-euc", START])
        .args(["test", BESIDE_POSTGRES])
        .output()?;
    Ok(!printed.contains("running 0 tests"))
}

fn test(lab: &Lab, engine: &EngineImage, programs: &[&Program], seed: u64) -> anyhow::Result<()> {
    for program in programs {
        beside(&program.path, engine.server())
            // What chance decides in them is decided again by it.
            .args(["--env", &format!("{SEED}={seed}")])
            .args([engine.image(lab.source()), "-euc", START])
            .output()?;
    }
    Ok(())
}

/// A shell beside a program of tests and the server that they take; its image and its words are yet to be said.
fn beside(program: &Path, server: &str) -> Cmd {
    docker()
        .args(["run", "--rm", "--init", "--network", "none"])
        .args(["--entrypoint", "sh", "--volume"])
        .arg(format!("{}:/test:ro", program.display()))
        .arg("--env")
        .arg(format!("CACHEBUS_TEST_SERVER={server}"))
}
