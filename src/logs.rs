//! Structured logs on standard output.

use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Modules that are never heard. The first logs whole replies which it cannot read, and a reply may be a Secret; what the
/// second warns of is an error too, which is logged where it is handled.
const SILENCED: [&str; 2] = ["kube_client::client", "kube_runtime::watcher"];

/// Installs the log: one JSON object a line, filtered by `RUST_LOG` (default `info`).
pub fn install() {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let harmless = filter_fn(|metadata| !SILENCED.contains(&metadata.target()));
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_filter(wanted.and(harmless));
    tracing_subscriber::registry().with(lines).init();
}
