//! From the start of the process to its end.

use crate::api;
use crate::data::DataAgent;
use crate::error::AgentError;
use crate::hosts;
use crate::http;
use crate::layout::Layout;
use crate::operator_port::{self, Gate};
use crate::sentinel::SentinelAgent;
use crate::serving::Serving;
use crate::site::Site;
use crate::stop::Stop;
use cachebus_core::names::Component;
use nix::sys::stat::{Mode, umask};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Variable that names the pod.
const POD_NAME: &str = "POD_NAME";
/// Orders that may wait for the agent's loop.
const WAITING_ORDERS: usize = 16;

/// Runs the agent of this pod until the pod is stopped. An error says why it ended otherwise; the process shall then exit with
/// [`AgentError::exit_code`].
///
/// The log goes to `tracing`; a subscriber is the caller's to set up.
pub async fn run(component: Component) -> Result<(), AgentError> {
    // The server writes files of its own beside those of the agent, some with passwords: none of them is anybody else's.
    umask(Mode::S_IRWXO);
    let pod = std::env::var(POD_NAME).map_err(|_| AgentError::NoPodName)?;
    let stop = Stop::on_signals().map_err(|source| AgentError::Process {
        action: "handling signals for",
        source,
    })?;
    Box::pin(run_in(component, pod, Layout::of_pod(), stop)).await
}

/// Runs the agent of `pod` with this layout until `stop` asks it to end.
pub async fn run_in(
    component: Component,
    pod: String,
    layout: Layout,
    mut stop: Stop,
) -> Result<(), AgentError> {
    let site = tokio::select! {
        site = Site::wait(component, pod, layout) => site?,
        () = stop.asked() => return Ok(()),
    };
    tracing::info!(
        pod = site.pod,
        bus = site.config.bus,
        uid = site.config.uid,
        engine = ?site.engine.kind,
        version = site.engine.version,
        "agent started"
    );
    let serving = Serving::open(site.layout.tls_dir.clone())?;
    let (snapshots, seen) = watch::channel(None);
    let (orders, inbox) = mpsc::channel(WAITING_ORDERS);
    let gate = Gate {
        tls: serving.server(),
        operator: site.names.operator_identity(),
        routes: api::routes(seen.clone(), orders),
    };
    let mut beside = JoinSet::new();
    beside.spawn(hosts::keep(site.clone()));
    beside.spawn(http::serve(http::listen(site.layout.http).await?, seen));
    beside.spawn(operator_port::serve(
        http::listen(site.layout.api).await?,
        gate,
    ));
    match component {
        Component::Redis => {
            let agent = DataAgent::new(site, serving, snapshots)?;
            Box::pin(agent.run(inbox, stop)).await
        }
        Component::Sentinel => {
            SentinelAgent::new(site, serving, snapshots)?
                .run(inbox, stop)
                .await
        }
    }
}
