//! What a group has yet to do.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cachebus::{CacheBus, ErrorKind, Source};
use serde_json::json;

use crate::bus::{client, contract, server, url};
use crate::consume::{CHANNEL, options, start};
use crate::counted::Counted;
use crate::wait::until;

#[tokio::test]
async fn a_backlog_has_a_number_and_an_age() {
    let process = server(&[]).await;
    let bus = client(&process);
    let error = bus.events().backlog(CHANNEL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GroupMissing);
    let error = bus.events().backlog("agent:updated").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContractError);

    let mut stuck = options("one");
    stuck.batch = 1;
    let consumer = bus.events().consumer().options(stuck);
    let consumer = consumer.on(CHANNEL, |_| {
        std::future::pending::<Result<(), Infallible>>()
    });
    let (_stopper, running) = start(consumer.unwrap());
    until("the group is made", async || {
        bus.events().backlog(CHANNEL).await.ok()
    })
    .await;
    for _ in 0..3 {
        let event = bus.events().event(CHANNEL, &json!({})).unwrap();
        bus.events().emit(&event).await.unwrap();
    }
    let backlog = until("one of three is handed out", async || {
        let backlog = bus.events().backlog(CHANNEL).await.unwrap();
        (backlog.pending == 1).then_some(backlog)
    })
    .await;
    assert_eq!(backlog.waiting, Some(2));
    let older = until("it is older", async || {
        let backlog = bus.events().backlog(CHANNEL).await.unwrap();
        (backlog.age >= Duration::from_secs(1)).then_some(backlog)
    })
    .await;
    assert!(older.age < Duration::from_secs(20));
    running.abort();
}

#[tokio::test]
async fn a_consumer_tells_the_metrics_of_it() {
    let process = server(&[]).await;
    let counted = Arc::new(Counted::default());
    let bus = CacheBus::builder(Source::url(url(&process), contract().to_string()))
        .metrics(Arc::clone(&counted) as Arc<_>)
        .open()
        .unwrap();
    for _ in 0..3 {
        let event = bus.events().event(CHANNEL, &json!({})).unwrap();
        bus.events().emit(&event).await.unwrap();
    }
    let mut stuck = options("one");
    stuck.measure_every = Duration::from_millis(50);
    let consumer = bus.events().consumer().options(stuck);
    let consumer = consumer.on(CHANNEL, |_| {
        std::future::pending::<Result<(), Infallible>>()
    });
    let (_stopper, running) = start(consumer.unwrap());
    until("it is told", async || {
        (counted.of("pending") >= 3).then_some(())
    })
    .await;
    running.abort();
}
