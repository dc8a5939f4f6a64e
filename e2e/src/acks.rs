//! Writes that were acknowledged, one after the other, and whether they are still there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use tokio::task::JoinHandle;

use crate::bus::Bus;
use crate::nodes::Node;
use crate::wait;

/// Time for the first write.
const FIRST: Duration = Duration::from_secs(20);

/// Writes to whichever pod is the primary until it is told to stop.
pub struct Writer {
    acknowledged: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Begins to write.
    pub fn start(bus: &Bus) -> Self {
        let acknowledged = Arc::default();
        let task = tokio::spawn(write(bus.clone(), Arc::clone(&acknowledged)));
        Self { acknowledged, task }
    }

    /// Waits until a write was acknowledged.
    pub async fn some(&self) -> anyhow::Result<()> {
        wait::until("a write is acknowledged", FIRST, || async {
            let acknowledged = self.acknowledged.lock();
            let keys = acknowledged.unwrap_or_else(PoisonError::into_inner);
            ensure!(!keys.is_empty(), "none was");
            Ok(())
        })
        .await
    }

    /// Stops, and returns the keys of the writes that were acknowledged.
    pub fn stop(self) -> Vec<String> {
        self.task.abort();
        let mut keys = self
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut keys)
    }
}

async fn write(bus: Bus, acknowledged: Arc<Mutex<Vec<String>>>) {
    let mut session = None;
    for number in 0_u64.. {
        let key = format!("ack:{number}");
        if set(&bus, &key, &mut session).await.is_ok() {
            acknowledged
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(key);
        }
    }
}

/// Writes a key. After a failure the primary is looked up anew.
async fn set(bus: &Bus, key: &str, session: &mut Option<Node>) -> anyhow::Result<()> {
    let node = match session.take() {
        Some(node) => node,
        None => bus.root_of_primary().await?,
    };
    node.call::<()>(&["SET", key, "kept"]).await?;
    *session = Some(node);
    Ok(())
}

/// Fails unless every acknowledged write is on the primary.
pub async fn verify(bus: &Bus, acknowledged: &[String]) -> anyhow::Result<()> {
    ensure!(!acknowledged.is_empty(), "no write was acknowledged");
    for keys in acknowledged.chunks(500) {
        let mut question = vec!["EXISTS"];
        question.extend(keys.iter().map(String::as_str));
        let there: usize = bus.on_primary(&question).await?;
        ensure!(
            there == keys.len(),
            "{} acknowledged writes are gone, among {} … {}",
            keys.len() - there,
            keys[0],
            keys[keys.len() - 1],
        );
    }
    Ok(())
}
