//! Clients inside the cluster, stock ones and the project's own. All they know of a bus is one mounted binding Secret.

mod binding;
mod connect;
mod consumer;
mod dataset;
mod demo;
mod door;
mod first_write;
mod log;
mod matrix;
mod producer;
mod reach;
mod say;
mod writers;

use std::path::PathBuf;

use binding::Binding;
use clap::{Parser, Subcommand};

/// Clients inside the cluster.
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
    /// Emits durable events with the project's own client, each until it is acknowledged, until told to stop.
    Producer(producer::Options),
    /// Handles durable events with the project's own client, until told to stop.
    Consumer(consumer::Options),
    /// Stops the first process of this pod, which keeps a history, and prints that.
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
    let folder = cli.binding;
    // The project's own client reads it by itself.
    let binding = || Binding::read(&folder);
    match cli.task {
        Task::Matrix { cells } => matrix::run(&binding()?, &cells).await,
        Task::Load { keys } => dataset::load(&binding()?, keys).await,
        Task::Verify { keys } => dataset::verify(&binding()?, keys).await,
        Task::FirstWrite { key } => first_write::run(&binding()?, &key).await,
        Task::Reach { places } => reach::run(places).await,
        Task::Writers(options) => writers::run(binding()?, options).await,
        Task::Producer(options) => producer::run(&folder, options).await,
        Task::Consumer(options) => consumer::run(&folder, options).await,
        Task::Collect { folder } => log::collect(&folder),
        Task::Hold => connect::hold(&binding()?).await,
        Task::DemoWriter => demo::write(&binding()?).await,
        Task::DemoReader => demo::read(&binding()?).await,
    }
}
