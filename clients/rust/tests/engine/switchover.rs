use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cachebus::Outcome;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::bus::{ask, contract};
use crate::pair::{MASTER, Pair, told};
use crate::wait::until;

/// Writers that go on until they are told to end. A call that fails ends its writer with a panic.
struct Writers {
    ends: Arc<AtomicBool>,
    running: Vec<(JoinHandle<()>, Arc<AtomicU64>)>,
}

impl Writers {
    fn new() -> Self {
        Self {
            ends: Arc::default(),
            running: Vec::new(),
        }
    }

    fn start<F>(&mut self, write: impl Fn(u64) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let (ends, written) = (Arc::clone(&self.ends), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&written);
        let running = tokio::spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                let next = written.load(Ordering::Relaxed) + 1;
                write(next).await;
                written.store(next, Ordering::Relaxed);
            }
        });
        self.running.push((running, counter));
    }

    async fn go_on(&self) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let before: Vec<u64> = self
            .running
            .iter()
            .map(|(_, written)| count(written))
            .collect();
        until("all write", async || {
            std::iter::zip(&self.running, &before)
                .all(|((_, written), before)| count(written) > before + 20)
                .then_some(())
        })
        .await;
    }

    /// How many writes were acknowledged to each.
    async fn end(self) -> Vec<u64> {
        self.ends.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for (running, written) in self.running {
            running.await.expect("no call failed");
            acknowledged.push(written.load(Ordering::Relaxed));
        }
        acknowledged
    }
}

#[tokio::test]
async fn a_planned_switchover_shows_no_error_and_loses_nothing() {
    let mut pair = Pair::start(true).await;
    let bus = pair.client(&contract());
    let mut writers = Writers::new();
    for writer in 0..4 {
        let agents = bus.cache().keyspace::<u64>("agent").unwrap();
        writers.start(move |number| {
            let agents = agents.clone();
            async move {
                agents
                    .set(format!("{writer}-{number}"), &number)
                    .await
                    .unwrap();
            }
        });
    }
    for _ in 0..4 {
        let bus = bus.clone();
        writers.start(move |number| {
            let bus = bus.clone();
            async move {
                let event = bus.events().event("task:created", &json!({"id": number}));
                bus.events().emit(&event.unwrap()).await.unwrap();
            }
        });
    }
    writers.go_on().await;
    pair.switch().await;
    writers.go_on().await;
    let acknowledged = writers.end().await;
    let events: u64 = told(&pair.leads, &["XLEN", "events:task:created:stream"]).await;
    assert_eq!(events, acknowledged[4..].iter().sum::<u64>());
    // Besides values: ids, history and stream.
    let keys: u64 = told(&pair.leads, &["DBSIZE"]).await;
    assert_eq!(keys, acknowledged[..4].iter().sum::<u64>() + 3);
}

#[tokio::test]
async fn what_may_not_be_sent_twice_rides_through_it_too() {
    let mut pair = Pair::start(false).await;
    let mut document = contract();
    document["events"]["publish"][0]["history"] = 10_000.into();
    let bus = pair.client(&document);
    let mut writers = Writers::new();
    for _ in 0..4 {
        let bus = bus.clone();
        writers.start(move |number| {
            let bus = bus.clone();
            async move {
                let event = bus.events().event("agent:updated", &json!({"id": number}));
                let emitted = bus.events().emit(&event.unwrap()).await.unwrap();
                assert_eq!(emitted.outcome, Outcome::Emitted);
            }
        });
    }
    writers.go_on().await;
    pair.switch().await;
    writers.go_on().await;
    let acknowledged: u64 = writers.end().await.iter().sum();
    let kept: u64 = told(&pair.leads, &["LLEN", "events:agent:updated:history"]).await;
    assert_eq!(kept, acknowledged.min(10_000));
}

#[tokio::test]
async fn a_crash_shows_as_retryable_errors_at_most() {
    let mut pair = Pair::start(true).await;
    // Only one of them finds the primary down: two that do so at once each vote for themselves, and try again minutes later.
    let mut admin = pair.sentinels[0].admin().await;
    let down = ["SENTINEL", "SET", MASTER, "down-after-milliseconds", "1000"];
    ask(&mut admin, &down).await;
    for sentinel in &pair.sentinels {
        until("it knows the other and the replica", async || {
            let state: HashMap<String, String> =
                told(sentinel, &["SENTINEL", "MASTER", MASTER]).await;
            (state["num-other-sentinels"] == "1" && state["num-slaves"] == "1").then_some(())
        })
        .await;
    }
    let bus = pair.client(&contract());
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    let mut writers = Writers::new();
    for writer in 0..4_u64 {
        let agents = agents.clone();
        writers.start(move |number| {
            let agents = agents.clone();
            async move {
                while let Err(error) = agents.set(writer, &number).await {
                    assert!(error.is_retryable(), "{error}");
                }
            }
        });
    }
    writers.go_on().await;
    pair.leads.kill();
    writers.go_on().await;
    let acknowledged = writers.end().await;
    for (writer, number) in std::iter::zip(0_u64.., acknowledged) {
        assert_eq!(agents.get(writer).await.unwrap(), Some(number));
    }
    let lock = bus.locks("lock").unwrap().lock("orders").await.unwrap();
    assert!(lock.fence().epoch > 0);
}
