//! Scenarios on a real cluster: `cachebus-e2e run`; what failovers cost: `cachebus-e2e bench failover`; faults of all kinds, in
//! turn and by chance: `cachebus-e2e faults`, `cachebus-e2e soak`.

mod access;
mod acks;
mod agreement;
mod audit;
mod bench;
mod bus;
mod chaos;
mod client_pod;
mod commands;
mod diagnose;
mod drain;
mod events;
mod faults;
mod keys;
mod lab;
mod load;
mod machine;
mod nodes;
mod operator;
mod operator_pod;
mod oracle;
mod outage;
mod pods;
mod process;
mod run;
mod s3;
mod scenarios;
mod stalls;
mod traffic;
mod trial;
mod wait;
mod watch;

use std::fs::File;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Scenarios on the cluster of the current kubeconfig, where the operator is installed.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs scenarios; fails when one fails.
    Run(Selection),
    /// Measures; fails when what must never be was seen.
    #[command(subcommand)]
    Bench(Bench),
    /// Has faults befall a bus under load, one after another; fails when a promise was broken.
    Faults(chaos::list::Options),
    /// The same by chance, for a while.
    Soak(chaos::soak::Options),
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// What failovers and planned changes of the primary cost clients.
    Failover(bench::Options),
}

/// Which scenarios, and how.
#[derive(Debug, Default, Args)]
struct Selection {
    /// All of them, those that have a long form in that.
    #[arg(long)]
    long: bool,
    /// Only these, by name, whether or not it is their turn.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Prints them and runs none.
    #[arg(long)]
    list: bool,
    /// How many run at once, where they do not need the operator for themselves.
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    /// Chooses what a run of the short form leaves out, as a run before it did that printed this seed. By default the time.
    #[arg(long, env = "CACHEBUS_TEST_SEED", value_name = "N")]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut told = signal(SignalKind::terminate())?;
    // Whatever is in force of a fault ends as the run is dropped.
    tokio::select! {
        ended = Box::pin(carry_out(Cli::parse().task)) => ended,
        _ = told.recv() => anyhow::bail!("told to stop"),
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            anyhow::bail!("told to stop")
        }
    }
}

async fn carry_out(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Run(selection) => run_scenarios(&selection).await,
        Task::Bench(Bench::Failover(options)) => {
            let (lab, _alone) = begin(false, 0, false).await?;
            Ok(code(Box::pin(bench::run(&lab, &options)).await?))
        }
        Task::Faults(options) if options.list => {
            chaos::list::show(&options.selected()?);
            Ok(ExitCode::SUCCESS)
        }
        Task::Faults(options) => {
            let (lab, _alone) = begin(false, 0, false).await?;
            Ok(code(Box::pin(chaos::list::main(&lab, &options)).await?))
        }
        Task::Soak(options) => {
            let (lab, _alone) = begin(false, 0, false).await?;
            Ok(code(Box::pin(chaos::soak::main(&lab, &options)).await?))
        }
    }
}

fn code(fine: bool) -> ExitCode {
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run_scenarios(selection: &Selection) -> anyhow::Result<ExitCode> {
    if selection.list {
        run::list();
        return Ok(ExitCode::SUCCESS);
    }
    let seed = match selection.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let selected = run::select(selection, seed)?;
    run::print(format_args!("seed {seed}"));
    let whole = selected.len() == scenarios::ALL.len();
    let (lab, _alone) = begin(selection.long, seed, whole).await?;
    Ok(run::run(&lab, selected, selection.jobs).await)
}

/// The cluster, for this process alone as long as the file is open.
async fn begin(long: bool, seed: u64, whole: bool) -> anyhow::Result<(lab::Lab, File)> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a cryptography provider was already installed"))?;
    let alone = run::lock()?;
    Ok((lab::Lab::connect(long, seed, whole).await?, alone))
}
