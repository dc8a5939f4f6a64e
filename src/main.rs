//! `cachebus`: the operator, the agent of every pod and the installer that brings the agent there, in one program.

mod agents;
mod apply;
mod check;
mod client;
mod context;
mod controllers;
mod error;
mod events;
mod fault;
mod http;
mod leader;
mod ledger;
mod logs;
mod memory;
mod metrics;
mod operator;
mod ownership;
mod partial;
mod passwords;
mod pki;
mod polls;
mod readiness;
mod secrets;
mod settings;
mod silences;
#[cfg(test)]
mod testing;
mod watches;

use cachebus_agent::AgentError;
use cachebus_core::names::Component;
use clap::{Parser, Subcommand, ValueEnum};
use settings::Settings;
use std::path::PathBuf;
use std::process::ExitCode;

/// A highly available Redis or Valkey cache and event bus on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "cachebus", version, about)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Serves the `CacheBus` objects of a cluster.
    Operator(Box<Settings>),
    /// PID 1 of a pod: supervises its server and obeys the operator.
    Agent {
        /// What the pod runs.
        component: AgentComponent,
    },
    /// Copies this program, from where a pod's container starts it as its agent.
    Install {
        /// Path of the copy.
        path: PathBuf,
    },
    /// Makes, proves or restores a backup, as the environment of its pod says.
    Task,
    /// Asks an operator at this URL whether it is ready.
    Check {
        /// Such as `http://cachebus.cachebus-system:8080/readyz`.
        url: ::http::Uri,
    },
    /// Prints the points at which an operator of this build can be made to end, as a bus that comes to life passes them.
    #[cfg(feature = "fault-points")]
    FaultPoints,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AgentComponent {
    Redis,
    Sentinel,
}

impl From<AgentComponent> for Component {
    fn from(component: AgentComponent) -> Self {
        match component {
            AgentComponent::Redis => Self::Redis,
            AgentComponent::Sentinel => Self::Sentinel,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::install();
    match run(cli.role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, cause = error::brief(error.root_cause()), "ended");
            error
                .downcast_ref::<AgentError>()
                .map_or(ExitCode::FAILURE, |error| error.exit_code().into())
        }
    }
}

fn run(role: Role) -> anyhow::Result<()> {
    // More than one provider could be linked in by accident; this makes the choice.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider had been installed already"))?;
    match role {
        Role::Operator(settings) => single_threaded()?.block_on(operator::run(*settings))?,
        Role::Agent { component } => {
            single_threaded()?.block_on(cachebus_agent::run(component.into()))?;
        }
        Role::Install { path } => cachebus_agent::install(&path)?,
        Role::Task => single_threaded()?.block_on(cachebus_backup::run())?,
        Role::Check { url } => {
            single_threaded()?.block_on(check::check(&url, &mut std::io::stdout()))?;
        }
        #[cfg(feature = "fault-points")]
        Role::FaultPoints => fault::list(&mut std::io::stdout())?,
    }
    Ok(())
}

/// One thread is plenty for work that mostly waits, and each further one costs a heap arena and a stack.
fn single_threaded() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
