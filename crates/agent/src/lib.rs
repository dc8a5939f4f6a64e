//! The agent: PID 1 of each pod of a bus.
//!
//! It renders the server's configuration, decides whether starting is safe, supervises the server, follows the mounted users
//! and certificates, answers kubelet's probes and Prometheus, and carries out the operator's orders. It has no rights in
//! Kubernetes and works while the operator and the API server are down.

mod agent;
mod api;
mod atomic_file;
mod auth;
mod crash_log;
mod data;
mod directives;
mod engine;
mod error;
mod hosts;
mod http;
mod install;
mod layout;
mod logs;
mod metrics;
mod operator_port;
mod order;
pub mod port;
mod process;
mod reap;
mod redis_conf;
mod restored;
mod sentinel;
mod sentinel_conf;
mod sentinels;
mod serving;
mod site;
mod snapshot;
mod stop;
mod supervisor;
mod tls;
mod trouble;
mod users;
mod volume;

pub use agent::{run, run_in};
pub use engine::program as server_program;
pub use error::AgentError;
pub use install::install;
pub use layout::Layout;
pub use reap::strangers as reap_strangers;
pub use restored::{VolumeHolds, begin_restored, holds};
pub use stop::{Stop, Stopper};
