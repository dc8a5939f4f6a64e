//! The operator: starts everything and ends when it should.

use crate::agents::Agents;
use crate::context::Context;
use crate::controllers::cachebus;
#[cfg(feature = "fault-points")]
use crate::fault;
use crate::leader::Leadership;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::polls::Polls;
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::watches::{Stores, Triggers};
use crate::{client, http};
use anyhow::Context as _;
use cachebus_core::names::MANAGER;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use kube::runtime::events::Reporter;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

type Shutdown = Shared<BoxFuture<'static, ()>>;

/// Serves the buses of a cluster until it is told to end, or loses its leadership.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    #[cfg(feature = "fault-points")]
    fault::arm(settings.fault_point);
    let metrics = Metrics::new();
    let readiness = Readiness::default();
    let client = client::connect(&metrics)
        .await
        .context("cannot find the cluster")?;
    let listener = TcpListener::bind(settings.http_bind)
        .await
        .with_context(|| format!("cannot listen on {}", settings.http_bind))?;
    let server = tokio::spawn(http::serve(listener, readiness.clone(), metrics.clone()));
    let scopes = contexts(&client, &settings, &readiness, &metrics);
    let shutdown = terminated()
        .context("cannot listen to signals")?
        .boxed()
        .shared();
    let mut leadership = Leadership::candidate(client, &settings);
    let ended = tokio::select! {
        result = server => result.context("the HTTP server ended"),
        result = lead(&mut leadership, &scopes, shutdown, &readiness, &metrics) => result,
    };
    leadership.resign().await;
    ended
}

fn contexts(
    client: &kube::Client,
    settings: &Settings,
    readiness: &Readiness,
    metrics: &Metrics,
) -> Vec<(Arc<Context>, Triggers)> {
    let agents = Agents::new(metrics.clone());
    let memory = Memory::default();
    let reporter = Reporter {
        controller: MANAGER.to_owned(),
        instance: Some(settings.pod_name.clone()),
    };
    settings
        .scopes()
        .iter()
        .map(|scope| {
            let (stores, triggers) = Stores::watch(client, scope.as_deref(), readiness);
            let context = Context {
                client: client.clone(),
                stores,
                agents: agents.clone(),
                polls: Polls::new(triggers.clone()),
                platform: settings.platform(),
                memory: memory.clone(),
                reporter: reporter.clone(),
                metrics: metrics.clone(),
            };
            (Arc::new(context), triggers)
        })
        .collect()
}

/// Waits for leadership and acts until the process is told to end. Losing the leadership is an error.
async fn lead(
    leadership: &mut Leadership,
    scopes: &[(Arc<Context>, Triggers)],
    shutdown: Shutdown,
    readiness: &Readiness,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    tokio::select! {
        won = leadership.won() => anyhow::ensure!(won, "nobody runs for leadership any more"),
        () = shutdown.clone() => return Ok(()),
    }
    tracing::info!("leads");
    readiness.leads();
    metrics.leader.set(1);
    let controllers = scopes
        .iter()
        .map(|(context, triggers)| cachebus::run(context.clone(), triggers, shutdown.clone()));
    tokio::select! {
        _ = join_all(controllers) => Ok(()),
        () = leadership.lost() => anyhow::bail!("the leadership is lost"),
    }
}

/// Ends when the process is told to end.
fn terminated() -> std::io::Result<impl Future<Output = ()> + Send> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
