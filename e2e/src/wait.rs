//! Waiting for a condition, with a deadline and the reason why it does not hold yet.

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::wait::Condition;
use kube::runtime::watcher::watch_object;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// Pause between two looks at what cannot be watched.
const PAUSE: Duration = Duration::from_millis(200);

/// Looks until `probe` succeeds, and returns what it found. The last failure tells why the deadline was missed.
pub async fn until<T, F>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let deadline = tokio::time::Instant::now() + limit;
    let mut why = anyhow::anyhow!("no answer");
    loop {
        match tokio::time::timeout_at(deadline, probe()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => why = error,
            Err(_) => {
                return Err(why.context(format!("{what}: not within {} s", limit.as_secs())));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks at `probe` all through `time`; fails as soon as it fails once.
pub async fn throughout<F>(
    what: &str,
    time: Duration,
    mut probe: impl FnMut() -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let began = Instant::now();
    while began.elapsed() < time {
        probe().await.with_context(|| {
            format!(
                "{what}: no longer so after {:.1} s",
                began.elapsed().as_secs_f64()
            )
        })?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Watches an object until the condition holds, and returns it (`None`: it is gone).
pub async fn object<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    limit: Duration,
    condition: impl Condition<K>,
) -> anyhow::Result<Option<K>>
where
    K: Clone + Debug + Send + DeserializeOwned + Resource + 'static,
{
    let mut seen = pin!(watch_object(api.clone(), name).default_backoff());
    // A watch that breaks off, as one of a version that is too old by now, begins anew.
    let mut broken = None;
    let found = async {
        while let Some(next) = seen.next().await {
            match next {
                Ok(object) if condition.matches_object(object.as_ref()) => return Some(object),
                Ok(_) => {}
                Err(error) => broken = Some(error),
            }
        }
        None
    };
    match tokio::time::timeout(limit, found).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) | Err(_) => bail!(
            "{name}: {what}: not within {} s{}",
            limit.as_secs(),
            broken.map_or_else(String::new, |error| format!(" ({error})"))
        ),
    }
}
