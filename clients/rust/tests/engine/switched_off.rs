//! What a service does while its contract has events switched off.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cachebus::CacheBus;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::bus::{PASSWORD, SERVICE, client, contract, server};
use crate::consume::{CHANNEL, Handled, emit, noting, options, pending, start, until_handled};
use crate::mounted::Mounted;
use crate::process::{HOST, Process};
use crate::wait::until;

/// Longer than an event takes to come.
pub const A_WHILE: Duration = Duration::from_millis(500);

/// The service, whose events are switched while it runs.
struct Switched {
    bus: CacheBus,
    mounted: Mounted,
    port: String,
}

impl Switched {
    fn on(process: &Process) -> Self {
        let port = process.port.to_string();
        let mounted = Mounted::new(&entries(&port, &text(true)));
        Self {
            bus: mounted.client(),
            mounted,
            port,
        }
    }

    /// Returns when it is taken up.
    async fn turn(&self, on: bool) {
        self.mounted.swap(&entries(&self.port, &text(on)));
        until("the contract is read", async || {
            (self.bus.contract().events_enabled == on).then_some(())
        })
        .await;
    }
}

fn text(events: bool) -> String {
    let mut document = contract();
    document["events"]["enabled"] = events.into();
    document.to_string()
}

fn entries<'a>(port: &'a str, contract: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("host", HOST),
        ("port", port),
        ("username", SERVICE),
        ("password", PASSWORD),
        ("contract.json", contract),
    ]
}

/// Emits, and tells the ids.
async fn update(bus: &CacheBus, numbers: std::ops::Range<u64>) -> Vec<String> {
    let mut ids = Vec::new();
    for number in numbers {
        let event = bus
            .events()
            .event("agent:updated", &json!({"id": number}))
            .unwrap();
        bus.events().emit(&event).await.unwrap();
        ids.push(event.event_id);
    }
    ids
}

#[tokio::test]
async fn nothing_is_handed_out_or_acknowledged() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let (others, service) = (client(&process), Switched::on(&process));
    let handled = Handled::default();
    let consumer = service.bus.events().consumer().options(options("one"));
    let (stopper, running) = start(noting(consumer, &handled));
    emit(&others, 0..1).await;
    until_handled(&handled, 1).await;
    until("it is acknowledged", async || {
        (pending(&mut admin).await == 0).then_some(())
    })
    .await;

    service.turn(false).await;
    emit(&others, 1..10).await;
    sleep(A_WHILE).await;
    assert_eq!(*handled.lock().unwrap(), [0]);
    let backlog = others.events().backlog(CHANNEL).await.unwrap();
    assert_eq!(backlog.pending + backlog.waiting.unwrap(), 9);

    service.turn(true).await;
    until_handled(&handled, 10).await;
    service.turn(false).await;
    emit(&others, 10..11).await;
    stopper.stop();
    let ended = timeout(Duration::from_secs(5), running).await;
    ended.unwrap().unwrap().unwrap();
    assert_eq!(*handled.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_under_way_ends_and_the_next_waits() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let (others, service) = (client(&process), Switched::on(&process));
    emit(&others, 0..2).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let may_end = Arc::new(Semaphore::new(0));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&may_end));
    let consumer = service.bus.events().consumer().options(options("one"));
    let consumer = consumer.on(CHANNEL, move |_| {
        begins.fetch_add(1, Ordering::Relaxed);
        let ends = Arc::clone(&ends);
        async move {
            ends.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(())
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("both are fetched", async || {
        (begun.load(Ordering::Relaxed) == 1 && pending(&mut admin).await == 2).then_some(())
    })
    .await;

    service.turn(false).await;
    may_end.add_permits(2);
    until("the first is acknowledged", async || {
        (pending(&mut admin).await == 1).then_some(())
    })
    .await;
    sleep(A_WHILE).await;
    assert_eq!(begun.load(Ordering::Relaxed), 1);

    service.turn(true).await;
    until("the second is acknowledged", async || {
        (pending(&mut admin).await == 0).then_some(())
    })
    .await;
    assert_eq!(begun.load(Ordering::Relaxed), 2);
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn another_attempt_waits() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let (others, service) = (client(&process), Switched::on(&process));
    emit(&others, 0..1).await;
    let tried = Arc::new(AtomicUsize::new(0));
    let may_fail = Arc::new(Semaphore::new(0));
    let (counted, permits) = (Arc::clone(&tried), Arc::clone(&may_fail));
    let consumer = service.bus.events().consumer().options(options("one"));
    let consumer = consumer.on(CHANNEL, move |_| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        let permits = Arc::clone(&permits);
        async move {
            if first {
                permits.acquire().await.unwrap().forget();
                return Err(());
            }
            Ok(())
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("it is tried", async || {
        (tried.load(Ordering::Relaxed) == 1).then_some(())
    })
    .await;

    service.turn(false).await;
    may_fail.add_permits(1);
    sleep(A_WHILE).await;
    assert_eq!(tried.load(Ordering::Relaxed), 1);

    service.turn(true).await;
    until("it is acknowledged", async || {
        (pending(&mut admin).await == 0).then_some(())
    })
    .await;
    assert_eq!(tried.load(Ordering::Relaxed), 2);
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_subscription_is_silent_and_filled_in_afterwards() {
    let process = server(&[]).await;
    let (others, service) = (client(&process), Switched::on(&process));
    let mut heard = service.bus.events().subscribe(&["agent"]).await.unwrap();
    update(&others, 0..1).await;
    heard.next().await.unwrap();
    // It waits for the next one already.
    let emitted = tokio::select! {
        _ = heard.next() => panic!("it heard something"),
        emitted = async {
            service.turn(false).await;
            let emitted = update(&others, 1..4).await;
            sleep(A_WHILE).await;
            emitted
        } => emitted,
    };

    service.turn(true).await;
    let mut came = Vec::new();
    for _ in 0..3 {
        came.push(heard.next().await.unwrap().event_id);
    }
    assert_eq!((came, heard.gaps()), (emitted, 0));

    service.turn(false).await;
    assert!(timeout(A_WHILE, heard.next()).await.is_err());
    update(&others, 0..150).await;
    service.turn(true).await;
    heard.next().await.unwrap();
    assert_eq!(heard.gaps(), 1);
}
