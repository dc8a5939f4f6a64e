//! What both services have besides their purpose: a database, an HTTP server, and an end.

use std::env;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cachebus::Keyspace;
use deadpool_postgres::{Manager, Pool};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::{Config, NoTls};

/// Queries of one process that the database sees at the same time, at most: also when the cache is off and all readers come to it.
const MOST_QUERIES: usize = 8;

/// Longer than it takes to store what was read from the database.
const A_MOMENT: Duration = Duration::from_secs(1);

/// The database that `DATABASE_URL` names, and connections to it. Nothing is connected yet.
pub fn database() -> anyhow::Result<(Config, Pool)> {
    let config: Config = variable("DATABASE_URL")?
        .parse()
        // The URL may hold a password: it is not repeated.
        .map_err(|_| anyhow::anyhow!("DATABASE_URL is no URL of a PostgreSQL"))?;
    let pool = Pool::builder(Manager::new(config.clone(), NoTls))
        .max_size(MOST_QUERIES)
        .build()?;
    Ok((config, pool))
}

/// Serves these routes, and `/healthz`, on the address `LISTEN`, until the process is told to end; answers what is asked by then.
pub async fn serve(routes: Router) -> anyhow::Result<()> {
    let address = variable("LISTEN")?;
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let routes = routes.route("/healthz", get(|| async { "ok\n" }));
    axum::serve(listener, routes)
        .with_graceful_shutdown(told_to_end())
        .await
        .context("cannot serve")
}

/// Removes a value once more, a moment after it was removed for a change: who read the database before the change may have stored what it
/// found there after the first removal. Where this process ends before, the value is wrong for its time to live.
pub fn forget_again<V: Send + Sync + 'static>(values: &Keyspace<V>, id: i64) {
    let values = values.clone();
    tokio::spawn(async move {
        tokio::time::sleep(A_MOMENT).await;
        if let Err(error) = values.delete(id).await {
            tracing::warn!(keyspace = values.name(), id, %error, "not forgotten again");
        }
    });
}

async fn told_to_end() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn variable(name: &str) -> anyhow::Result<String> {
    env::var(name).with_context(|| format!("the variable {name} is not set"))
}

/// A JSON answer; `404` where there is nothing, `500` where something went wrong.
pub type Answer<T> = Result<Json<T>, Failure>;

/// What was found, as an answer.
pub fn found<T: Serialize>(value: Option<T>) -> Answer<T> {
    value.map(Json).ok_or(Failure::NotFound)
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// There is no such thing.
    NotFound,
    /// The service could not do what was asked.
    Broken(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Broken(error) => {
                tracing::error!("{error:#}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_from_what_went_wrong() {
        let status = |answer: Answer<u8>| answer.into_response().status();
        assert_eq!(status(found(Some(1))), StatusCode::OK);
        assert_eq!(status(found(None)), StatusCode::NOT_FOUND);
        let broken = anyhow::anyhow!("no database").into();
        assert_eq!(status(Err(broken)), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
