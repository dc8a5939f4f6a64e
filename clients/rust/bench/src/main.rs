//! How long calls of the client take, beside what people would take instead: `cargo xtask bench clients`.

use std::path::PathBuf;
use std::sync::Arc;

use cachebus_bench::engine::EngineBenchmark;
use cachebus_bench::place::{self, Place};
use cachebus_bench::{backlogs, certificates, emits, handlers, mixed, reads, report, workload};
use clap::Parser;

/// The parts of `cargo xtask bench clients`.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true)]
enum Task {
    /// Writes ca.crt, tls.crt and tls.key for a server on this machine.
    Certificates {
        /// Folder that they are written to.
        folder: PathBuf,
    },
    /// Measures, and prints all figures as one line of JSON.
    Times {
        #[command(flatten)]
        place: place::Options,
        /// Rounds of each comparison.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How the engine's own benchmark is run.
        #[arg(last = true, required = true)]
        engine_benchmark: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Certificates { folder } => certificates::write(&folder),
        Task::Times {
            place,
            rounds,
            engine_benchmark,
        } => times(place, rounds, &engine_benchmark).await,
    }
}

async fn times(options: place::Options, rounds: usize, engine: &[String]) -> anyhow::Result<()> {
    let place = Arc::new(Place::open(options)?);
    let engine = EngineBenchmark::new(&place, engine);
    let mut figures = reads::gets(&place, rounds).await?;
    figures.push(mixed::mixed(&place, rounds, engine).await?);
    figures.extend(reads::read_through(&place, rounds).await?);
    figures.push(workload::hit_ratio(&place).await?);
    figures.push(workload::loads(&place).await?);
    figures.extend(emits::emits(&place, rounds).await?);
    figures.push(handlers::handlers(&place).await?);
    figures.push(backlogs::backlogs(&place, rounds.min(3)).await?);
    report::write(&figures)
}
