//! Which places let a connection in.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::say::say_json;

/// Tries each place all through this time: what is to be let in may be let in a moment after this pod began.
const PATIENCE: Duration = Duration::from_secs(8);
const ATTEMPT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(200);

/// Connects to each `host:port`; prints whether that was possible, as JSON.
pub async fn run(places: Vec<String>) -> anyhow::Result<()> {
    let tried = places.into_iter().map(|place| async move {
        let reached = timeout(PATIENCE, until_connected(&place)).await.is_ok();
        (place, reached)
    });
    let reached: BTreeMap<String, bool> = join_all(tried).await.into_iter().collect();
    say_json(&serde_json::to_value(reached)?)
}

async fn until_connected(place: &str) {
    while !matches!(timeout(ATTEMPT, TcpStream::connect(place)).await, Ok(Ok(_))) {
        tokio::time::sleep(PAUSE).await;
    }
}
