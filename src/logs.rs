//! Structured logs on standard output.

use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// The module of the Kubernetes client that logs whole replies which it cannot read. A reply may be a Secret.
const LOGS_REPLIES: &str = "kube_client::client";

/// Installs the log: one JSON object a line, filtered by `RUST_LOG` (default `info`).
pub fn install() {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let harmless = filter_fn(|metadata| metadata.target() != LOGS_REPLIES);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_filter(wanted.and(harmless));
    tracing_subscriber::registry().with(lines).init();
}
