use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachebus::{CacheBus, Consumer, ConsumerOptions, ErrorKind, Result, Source, Stopper};
use futures::TryStreamExt as _;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::bus::{ask, client, contract, server, url};
use crate::counted::Counted;
use crate::wait::until;

pub(crate) const CHANNEL: &str = "task:created";

pub(crate) fn options(name: &str) -> ConsumerOptions {
    let mut options = ConsumerOptions::default();
    name.clone_into(&mut options.name);
    options.block = Duration::from_millis(100);
    options.backoff = Duration::from_millis(1);
    options.claim_after = Duration::from_millis(600);
    options.claim_every = Duration::from_millis(100);
    options
}

/// Ids of tasks in the order in which they were handled.
pub(crate) type Handled = Arc<Mutex<Vec<u64>>>;

pub(crate) fn noting(consumer: Consumer, handled: &Handled) -> Consumer {
    let handled = Arc::clone(handled);
    consumer
        .on(CHANNEL, move |event| {
            let handled = Arc::clone(&handled);
            async move {
                let data: serde_json::Value = event.data().unwrap();
                handled.lock().unwrap().push(data["id"].as_u64().unwrap());
                Ok::<_, Infallible>(())
            }
        })
        .unwrap()
}

pub(crate) fn start(consumer: Consumer) -> (Stopper, JoinHandle<Result<()>>) {
    (consumer.stopper(), tokio::spawn(consumer.run()))
}

pub(crate) async fn emit(bus: &CacheBus, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        let event = bus.events().event(CHANNEL, &json!({"id": id})).unwrap();
        bus.events().emit(&event).await.unwrap();
    }
}

pub(crate) async fn until_handled(handled: &Handled, number: usize) {
    until("events are handled", async || {
        (handled.lock().unwrap().len() >= number).then_some(())
    })
    .await;
}

pub(crate) async fn pending(admin: &mut redis::aio::MultiplexedConnection) -> u64 {
    let key = format!("events:{CHANNEL}:stream");
    let summary = ask(admin, &["XPENDING", &key, "worker"]).await;
    let fields: Vec<redis::Value> = redis::from_redis_value(summary).unwrap();
    redis::from_redis_value(fields[0].clone()).unwrap()
}

#[tokio::test]
async fn events_are_handled_in_order_and_acknowledged() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    emit(&bus, 0..20).await;
    let handled = Handled::default();
    let consumer = noting(bus.events().consumer().options(options("one")), &handled);
    let (stopper, running) = start(consumer);
    until_handled(&handled, 20).await;
    emit(&bus, 20..100).await;
    until_handled(&handled, 100).await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(*handled.lock().unwrap(), (0..100).collect::<Vec<_>>());
    assert_eq!(pending(&mut admin).await, 0);
}

#[tokio::test]
async fn what_fails_for_good_is_a_dead_letter_and_the_rest_goes_on() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let counted = Arc::new(Counted::default());
    let bus = CacheBus::builder(Source::url(url(&process), contract().to_string()))
        .metrics(Arc::clone(&counted) as Arc<_>)
        .open()
        .unwrap();
    emit(&bus, 0..4).await;
    let tried: Handled = Handled::default();
    let seen = Arc::clone(&tried);
    let consumer = bus.events().consumer().options(options("one"));
    let consumer = consumer
        .on("task", move |event| {
            let data: serde_json::Value = event.data().unwrap();
            let id = data["id"].as_u64().unwrap();
            seen.lock().unwrap().push(id);
            async move {
                assert!(id != 2, "the handler panics");
                if id == 1 {
                    return Err(std::io::Error::other("hunter2"));
                }
                Ok(())
            }
        })
        .unwrap();
    let (stopper, running) = start(consumer);
    until_handled(&tried, 8).await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(*tried.lock().unwrap(), [0, 1, 1, 1, 2, 2, 2, 3]);
    assert_eq!(pending(&mut admin).await, 0);
    assert_eq!((counted.of("handler"), counted.of("dead_letter")), (6, 2));

    let letters = bus.events().dead_letters(CHANNEL).unwrap();
    assert_eq!(letters.count().await.unwrap(), 2);
    let all: Vec<_> = letters.letters().try_collect().await.unwrap();
    let reasons: Vec<_> = all.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(reasons, ["std::io::error::Error", "panic"]);
    assert!(!format!("{all:?}").contains("hunter2"));
    assert_eq!(
        letters.get(&all[0].id).await.unwrap().unwrap().id,
        all[0].id
    );
    let first = all[0].event.as_ref().unwrap().event_id.clone();
    let redriven = letters
        .redrive(10, |event| {
            let works = event.event_id == first;
            async move { if works { Ok(()) } else { Err(()) } }
        })
        .await
        .unwrap();
    assert_eq!((redriven.handled, redriven.failed), (1, 1));
    assert_eq!(letters.count().await.unwrap(), 1);
    assert_eq!(letters.drop_letters(&[&all[1].id]).await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_dead_consumer_was_handed_out_is_taken_over() {
    let process = server(&[]).await;
    let bus = client(&process);
    emit(&bus, 0..3).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let begins = Arc::clone(&begun);
    let consumer = bus.events().consumer().options(options("dies"));
    let consumer = consumer.on(CHANNEL, move |_| {
        begins.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<(), Infallible>>()
    });
    let (_stopper, dies) = start(consumer.unwrap());
    until("it handles", async || {
        (begun.load(Ordering::Relaxed) == 1).then_some(())
    })
    .await;
    let handled = Handled::default();
    let (stopper, lives) = start(noting(
        bus.events().consumer().options(options("lives")),
        &handled,
    ));
    emit(&bus, 3..4).await;
    until_handled(&handled, 1).await;
    // While it lives nobody takes its events, however long they take.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(*handled.lock().unwrap(), [3]);
    dies.abort();
    until_handled(&handled, 4).await;
    assert_eq!(*handled.lock().unwrap(), [3, 0, 1, 2]);
    stopper.stop();
    lives.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_kills_its_consumers_is_a_dead_letter() {
    let process = server(&[]).await;
    let bus = client(&process);
    emit(&bus, 0..1).await;
    let begun = Arc::new(AtomicUsize::new(0));
    for time in 1..=2 {
        let begins = Arc::clone(&begun);
        let mut options = options("one");
        options.max_deliveries = 2;
        let consumer = bus.events().consumer().options(options);
        let consumer = consumer.on(CHANNEL, move |_| {
            begins.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<(), Infallible>>()
        });
        let (_stopper, running) = start(consumer.unwrap());
        until("it handles", async || {
            (begun.load(Ordering::Relaxed) == time).then_some(())
        })
        .await;
        running.abort();
    }
    let mut options = options("one");
    options.max_deliveries = 2;
    let handled = Handled::default();
    let (stopper, running) = start(noting(bus.events().consumer().options(options), &handled));
    let letters = bus.events().dead_letters(CHANNEL).unwrap();
    until("it is given up", async || {
        (letters.count().await.unwrap() == 1).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert!(handled.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_fetched_is_given_back_at_a_stop() {
    let process = server(&[]).await;
    let bus = client(&process);
    emit(&bus, 0..10).await;
    let mut patient = options("stops");
    patient.claim_after = Duration::from_hours(1);
    let consumer = bus.events().consumer().options(patient.clone());
    let stopper = consumer.stopper();
    let stops = stopper.clone();
    let consumer = consumer.on(CHANNEL, move |_| {
        stops.stop();
        async { Ok::<_, Infallible>(()) }
    });
    consumer.unwrap().run().await.unwrap();
    let handled = Handled::default();
    patient.name = "other".to_owned();
    let (stopper, running) = start(noting(bus.events().consumer().options(patient), &handled));
    until_handled(&handled, 9).await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(*handled.lock().unwrap(), (1..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn sessions_that_are_ended_lose_no_event() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let handled = Handled::default();
    let (stopper, running) = start(noting(
        bus.events().consumer().options(options("one")),
        &handled,
    ));
    for round in 0..10 {
        emit(&bus, round * 20..round * 20 + 20).await;
        ask(&mut admin, &["CLIENT", "KILL", "USER", "worker"]).await;
    }
    until("all are handled", async || {
        let mut ids = handled.lock().unwrap().clone();
        ids.sort_unstable();
        ids.dedup();
        (ids == (0..200).collect::<Vec<_>>()).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(pending(&mut admin).await, 0);
}

#[tokio::test]
async fn a_lost_stream_is_counted_and_consumed_again() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let counted = Arc::new(Counted::default());
    let bus = CacheBus::builder(Source::url(url(&process), contract().to_string()))
        .metrics(Arc::clone(&counted) as Arc<_>)
        .open()
        .unwrap();
    let handled = Handled::default();
    let (stopper, running) = start(noting(
        bus.events().consumer().options(options("one")),
        &handled,
    ));
    emit(&bus, 0..1).await;
    until_handled(&handled, 1).await;
    ask(&mut admin, &["DEL", "events:task:created:stream"]).await;
    emit(&bus, 1..2).await;
    until_handled(&handled, 2).await;
    assert_eq!(counted.of("group_lost"), 1);
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_not_durable_or_denied_is_an_error() {
    let process = server(&[]).await;
    let bus = client(&process);
    let handler = |_| async { Ok::<_, Infallible>(()) };
    let error = bus.events().consumer().on("agent", handler).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ContractError);
    let error = bus.events().consumer().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContractError);
    let mut document = contract();
    document["events"]["subscribe"][1]["channel"] = "task:failed".into();
    let bus = crate::bus::client_by(&process, &document);
    let consumer = bus.events().consumer().on("task", handler).unwrap();
    assert_eq!(consumer.run().await.unwrap_err().kind(), ErrorKind::Denied);
}
