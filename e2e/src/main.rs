//! Scenarios on a real cluster: `cachebus-e2e run`.

mod access;
mod acks;
mod agreement;
mod audit;
mod bus;
mod client_pod;
mod commands;
mod diagnose;
mod keys;
mod lab;
mod nodes;
mod operator;
mod operator_pod;
mod oracle;
mod pods;
mod process;
mod roles;
mod run;
mod scenarios;
mod wait;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

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
}

/// Which scenarios, and how.
#[derive(Debug, Args)]
struct Selection {
    /// In their long form, those that have one.
    #[arg(long)]
    long: bool,
    /// Only these, by name.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Prints them and runs none.
    #[arg(long)]
    list: bool,
    /// How many run at once, where they do not need the operator for themselves.
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Task::Run(selection) = Cli::parse().task;
    let selected = run::select(&selection)?;
    if selection.list {
        run::list(&selected);
        return Ok(ExitCode::SUCCESS);
    }
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a cryptography provider was already installed"))?;
    let _alone = run::lock()?;
    let lab = lab::Lab::connect(selection.long).await?;
    Ok(run::run(&lab, selected, selection.jobs).await)
}
