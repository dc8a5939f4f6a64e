//! Events that are written in a transaction of PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use cachebus::{
    Bound, CacheBus, ErrorKind, Event, Outbox, OutboxError, RelayOptions, Source, Stopper,
};
use futures::TryStreamExt as _;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use crate::bus::{client, client_by, contract, impatient, server, url};
use crate::counted::Counted;
use crate::postgres::Postgres;
use crate::switched_off::A_WHILE;
use crate::wait::until;

const CHANNEL: &str = "task:created";

async fn outbox(bus: &CacheBus, database: &Client) -> Outbox {
    let outbox = bus.events().outbox("public.task_outbox").unwrap();
    // Again it changes nothing.
    for _ in 0..2 {
        database.batch_execute(&outbox.ddl()).await.unwrap();
    }
    outbox
}

fn numbered(bus: &CacheBus, number: u64) -> Event {
    bus.events()
        .event(CHANNEL, &json!({"number": number}))
        .unwrap()
}

async fn add(
    bus: &CacheBus,
    outbox: &Outbox,
    database: &mut Client,
    numbers: std::ops::Range<u64>,
) {
    for number in numbers {
        let transaction = database.transaction().await.unwrap();
        let event = numbered(bus, number);
        assert!(outbox.add(&transaction, &event).await.unwrap());
        transaction.commit().await.unwrap();
    }
}

fn relay(outbox: &Outbox, postgres: &Postgres) -> (Stopper, JoinHandle<Result<(), OutboxError>>) {
    let mut options = RelayOptions::default();
    options.batch = 7;
    options.poll_every = Duration::from_millis(100);
    options.measure_every = Duration::from_millis(50);
    let relay = outbox.relay(postgres.config(), NoTls).options(options);
    (relay.stopper(), tokio::spawn(relay.run()))
}

/// The numbers of the stream's events.
async fn emitted(bus: &CacheBus) -> Vec<u64> {
    let events = bus.events().replay(CHANNEL, &Bound::Open, &Bound::Open);
    let events: Vec<Event> = events.unwrap().try_collect().await.unwrap();
    events
        .iter()
        .map(|event| {
            let data: serde_json::Value = event.data().unwrap();
            data["number"].as_u64().unwrap()
        })
        .collect()
}

async fn until_emitted(bus: &CacheBus, numbers: std::ops::Range<u64>) {
    let wanted: Vec<u64> = numbers.collect();
    until("all are emitted", async || {
        let emitted = emitted(bus).await;
        (emitted.len() >= wanted.len()).then_some(())
    })
    .await;
    assert_eq!(emitted(bus).await, wanted);
}

#[tokio::test]
async fn what_is_committed_is_emitted_in_order_and_the_rest_never() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let process = server(&[]).await;
    let bus = client(&process);
    let mut database = postgres.client().await;
    let outbox = outbox(&bus, &database).await;
    add(&bus, &outbox, &mut database, 0..20).await;
    let undone = database.transaction().await.unwrap();
    outbox.add(&undone, &numbered(&bus, 99)).await.unwrap();
    undone.rollback().await.unwrap();
    let (stopper, running) = relay(&outbox, &postgres);
    let (_, second) = relay(&outbox, &postgres);
    add(&bus, &outbox, &mut database, 20..100).await;
    until_emitted(&bus, 0..100).await;
    until("the table is empty", async || {
        let backlog = outbox.backlog(&database).await.unwrap();
        (backlog.waiting == 0).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    // Another goes on.
    add(&bus, &outbox, &mut database, 100..110).await;
    until_emitted(&bus, 0..110).await;
    second.abort();
}

#[tokio::test]
async fn one_that_is_emitted_again_counts_once() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let process = server(&[]).await;
    let bus = client(&process);
    let mut database = postgres.client().await;
    let outbox = outbox(&bus, &database).await;
    let event = numbered(&bus, 0);
    let transaction = database.transaction().await.unwrap();
    assert!(outbox.add(&transaction, &event).await.unwrap());
    assert!(!outbox.add(&transaction, &event).await.unwrap());
    transaction.commit().await.unwrap();
    // As a relay that died before it could remove the event.
    bus.events().emit(&event).await.unwrap();
    let (stopper, running) = relay(&outbox, &postgres);
    until("the table is empty", async || {
        let backlog = outbox.backlog(&database).await.unwrap();
        (backlog.waiting == 0).then_some(())
    })
    .await;
    assert_eq!(emitted(&bus).await, [0]);
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_wakes_the_relay() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let process = server(&[]).await;
    let bus = client(&process);
    let mut database = postgres.client().await;
    let outbox = outbox(&bus, &database).await;
    let mut options = RelayOptions::default();
    options.poll_every = Duration::from_hours(1);
    let relay = outbox.relay(postgres.config(), NoTls).options(options);
    let running = tokio::spawn(relay.run());
    for number in 0..3 {
        add(&bus, &outbox, &mut database, number..number + 1).await;
        until_emitted(&bus, 0..number + 1).await;
    }
    running.abort();
}

#[tokio::test]
async fn a_bus_and_a_database_that_are_away_are_waited_for() {
    let Some(mut postgres) = Postgres::start().await else {
        return;
    };
    let process = server(&[]).await;
    let bus = client(&process);
    let mut database = postgres.client().await;
    let short = impatient(&process);
    let outbox = outbox(&short, &database).await;
    process.freeze();
    let (stopper, running) = relay(&outbox, &postgres);
    add(&short, &outbox, &mut database, 0..10).await;
    until("they wait", async || {
        let backlog = outbox.backlog(&database).await.unwrap();
        (backlog.waiting == 10 && backlog.age > Duration::from_secs(1)).then_some(())
    })
    .await;
    process.thaw();
    until_emitted(&bus, 0..10).await;

    postgres.crash_and_return();
    let mut database = postgres.client().await;
    add(&short, &outbox, &mut database, 10..20).await;
    until_emitted(&bus, 0..20).await;
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_can_never_be_emitted_is_set_aside() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let process = server(&[]).await;
    let mut narrow = contract();
    narrow["events"]["publish"] = json!([contract()["events"]["publish"][1]]);
    let counted = Arc::new(Counted::default());
    let bus = CacheBus::builder(Source::url(url(&process), narrow.to_string()))
        .metrics(Arc::clone(&counted) as Arc<_>)
        .open()
        .unwrap();
    let wide = client(&process);
    let mut database = postgres.client().await;
    let outbox = outbox(&bus, &database).await;
    let transaction = database.transaction().await.unwrap();
    let event = wide.events().event("agent:updated", &json!({})).unwrap();
    let error = outbox.add(&transaction, &event).await.unwrap_err();
    let OutboxError::Event(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), ErrorKind::ContractError);
    let before = wide.events().outbox("public.task_outbox").unwrap();
    assert!(before.add(&transaction, &event).await.unwrap());
    transaction.commit().await.unwrap();
    add(&bus, &outbox, &mut database, 0..3).await;
    let (stopper, running) = relay(&outbox, &postgres);
    until_emitted(&bus, 0..3).await;
    assert_eq!(counted.of("refused"), 1);
    until("the metrics are told of it", async || {
        (counted.of("outbox refused") > 0).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(outbox.backlog(&database).await.unwrap().refused, 1);

    assert_eq!(outbox.retry_refused(&database).await.unwrap(), 1);
    let (stopper, running) = relay(&before, &postgres);
    until("it is emitted after all", async || {
        let history = wide.events().history("agent:updated", 1).await.unwrap();
        history.first().map(|kept| kept.event_id.clone())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn events_wait_while_they_are_switched_off() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let process = server(&[]).await;
    let mut off = contract();
    off["events"]["enabled"] = false.into();
    let silent = client_by(&process, &off);
    let mut database = postgres.client().await;
    let keeps = outbox(&silent, &database).await;
    add(&silent, &keeps, &mut database, 0..3).await;
    let (stopper, running) = relay(&keeps, &postgres);
    tokio::time::sleep(A_WHILE).await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(keeps.backlog(&database).await.unwrap().waiting, 3);
    let bus = client(&process);
    assert!(emitted(&bus).await.is_empty());
    let (stopper, running) = relay(&outbox(&bus, &database).await, &postgres);
    until_emitted(&bus, 0..3).await;
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let process = server(&[]).await;
    let bus = client(&process);
    let outbox = bus.events().outbox("nobody_made_it").unwrap();
    let relay = outbox.relay(postgres.config(), NoTls);
    let error = relay.run().await.unwrap_err();
    assert_eq!(error.to_string(), "the database: 42P01");
}
