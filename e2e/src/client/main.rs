//! A stock client inside the cluster. All it knows of a bus is one mounted binding Secret.

mod binding;
mod connect;
mod dataset;
mod demo;
mod door;
mod first_write;
mod log;
mod matrix;
mod reach;
mod say;
mod writers;

use std::path::PathBuf;

use binding::Binding;
use clap::{Parser, Subcommand};

/// A stock client inside the cluster.
#[derive(Debug, Parser)]
struct Cli {
    /// Folder of the binding Secret.
    #[arg(long, default_value = "/bindings/bus")]
    binding: PathBuf,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Makes every attempt of a file of cells; prints one outcome a line, as JSON.
    Matrix {
        /// The file.
        #[arg(long, default_value = "/input/cells.json")]
        cells: PathBuf,
    },
    /// Writes a dataset.
    Load {
        /// Its size.
        #[arg(long)]
        keys: u64,
    },
    /// Compares what there is with a dataset; prints what differs, as JSON.
    Verify {
        /// Its size.
        #[arg(long)]
        keys: u64,
    },
    /// Writes in a tight loop until the first write is accepted; prints when, as JSON.
    FirstWrite {
        /// The key.
        #[arg(long, default_value = "agent:first")]
        key: String,
    },
    /// Does nothing but hold an open connection until it ends; prints why it ended, as JSON.
    Hold,
    /// Connects to places; prints which let it in, as JSON.
    Reach {
        /// Each `host:port`.
        places: Vec<String>,
    },
    /// Writes and reads, and keeps a history of it, until told to stop.
    Writers(writers::Options),
    /// Stops the writers of this pod; prints their history.
    Collect {
        /// Where it is.
        #[arg(long, default_value = "/history")]
        folder: PathBuf,
    },
    /// A service of the tour: changes a task each second and tells of it.
    DemoWriter,
    /// A service of the tour: hears of changed tasks and reads them.
    DemoReader,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a cryptography provider was already installed"))?;
    let binding = Binding::read(&cli.binding)?;
    match cli.task {
        Task::Matrix { cells } => matrix::run(&binding, &cells).await,
        Task::Load { keys } => dataset::load(&binding, keys).await,
        Task::Verify { keys } => dataset::verify(&binding, keys).await,
        Task::FirstWrite { key } => first_write::run(&binding, &key).await,
        Task::Reach { places } => reach::run(places).await,
        Task::Writers(options) => writers::run(binding, options).await,
        Task::Collect { folder } => log::collect(&folder),
        Task::Hold => connect::hold(&binding).await,
        Task::DemoWriter => demo::write(&binding).await,
        Task::DemoReader => demo::read(&binding).await,
    }
}
