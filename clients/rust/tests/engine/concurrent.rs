//! Events that are handled at the same time, and what keeps its order.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachebus::{CacheBus, Consumer, Event};
use serde_json::json;
use tokio::sync::Notify;

use crate::bus::{ask, client, impatient, server};
use crate::consume::{CHANNEL, options, pending, start};
use crate::wait::until;

/// Of each event, its task and its number.
async fn emit(bus: &CacheBus, events: impl IntoIterator<Item = (u64, u64)>) {
    for (task, number) in events {
        let data = json!({"task": task, "number": number});
        let event = bus.events().event(CHANNEL, &data).unwrap();
        bus.events().emit(&event).await.unwrap();
    }
}

fn told(event: &Event, name: &str) -> u64 {
    let data: serde_json::Value = event.data().unwrap();
    data[name].as_u64().unwrap()
}

fn by_task(consumer: Consumer, handlers: usize) -> Consumer {
    consumer
        .concurrency(handlers)
        .ordered_by(|event| told(event, "task").to_string())
}

#[tokio::test]
async fn keys_go_at_the_same_time_and_each_in_its_order() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    emit(&bus, (0..200).map(|number| (number % 5, number))).await;
    let handled: Arc<Mutex<BTreeMap<u64, Vec<u64>>>> = Arc::default();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let consumer = by_task(bus.events().consumer().options(options("one")), 4);
    let consumer = consumer.on(CHANNEL, {
        let (handled, most) = (Arc::clone(&handled), Arc::clone(&most));
        move |event| {
            let (handled, now, most) = (Arc::clone(&handled), Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
                let (task, number) = (told(&event, "task"), told(&event, "number"));
                handled
                    .lock()
                    .unwrap()
                    .entry(task)
                    .or_default()
                    .push(number);
                now.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, Infallible>(())
            }
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("all are handled", async || {
        let all: usize = handled.lock().unwrap().values().map(Vec::len).sum();
        (all == 200).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(most.load(Ordering::Relaxed), 4);
    for (task, numbers) in handled.lock().unwrap().iter() {
        let in_order: Vec<u64> = (0..200).filter(|number| number % 5 == *task).collect();
        assert_eq!(*numbers, in_order);
    }
    assert_eq!(pending(&mut admin).await, 0);
}

#[tokio::test]
async fn what_fails_holds_up_its_own_key_alone() {
    let process = server(&[]).await;
    let bus = client(&process);
    emit(&bus, [(1, 0), (1, 1), (2, 2), (2, 3)]).await;
    let handled: Arc<Mutex<Vec<u64>>> = Arc::default();
    let mut patient = options("one");
    patient.backoff = Duration::from_millis(400);
    let consumer = by_task(bus.events().consumer().options(patient), 2);
    let failures = Arc::new(AtomicUsize::new(0));
    let consumer = consumer.on(CHANNEL, {
        let handled = Arc::clone(&handled);
        move |event| {
            let number = told(&event, "number");
            let fails = number == 0 && failures.fetch_add(1, Ordering::Relaxed) < 2;
            if !fails {
                handled.lock().unwrap().push(number);
            }
            async move { if fails { Err(()) } else { Ok(()) } }
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("all are handled", async || {
        (handled.lock().unwrap().len() == 4).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(*handled.lock().unwrap(), [2, 3, 0, 1]);
}

#[tokio::test]
async fn a_stop_lets_what_runs_finish_and_gives_back_the_rest() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    emit(&bus, (0..12).map(|number| (number % 3, number))).await;
    let (begun, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut patient = options("stops");
    patient.claim_after = Duration::from_hours(1);
    let consumer = by_task(bus.events().consumer().options(patient.clone()), 3);
    let consumer = consumer.on(CHANNEL, {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move |_| {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                go_on.notified().await;
                Ok::<_, Infallible>(())
            }
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("three are being handled", async || {
        (begun.load(Ordering::Relaxed) == 3).then_some(())
    })
    .await;
    stopper.stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.is_finished());
    go_on.notify_waiters();
    running.await.unwrap().unwrap();
    assert_eq!(pending(&mut admin).await, 9);

    let others: Arc<Mutex<Vec<u64>>> = Arc::default();
    "other".clone_into(&mut patient.name);
    let consumer = bus.events().consumer().options(patient);
    let consumer = consumer.on(CHANNEL, {
        let others = Arc::clone(&others);
        move |event| {
            others.lock().unwrap().push(told(&event, "number"));
            async { Ok::<_, Infallible>(()) }
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("another has the rest", async || {
        (others.lock().unwrap().len() == 9).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(*others.lock().unwrap(), (3..12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stop_between_attempts_buries_nothing() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    emit(&bus, [(1, 0)]).await;
    let mut patient = options("one");
    patient.backoff = Duration::from_mins(1);
    patient.longest_backoff = Duration::from_mins(1);
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let consumer = bus.events().consumer().options(patient);
    let consumer = consumer.on(CHANNEL, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err(()) }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("it failed once", async || {
        (attempts.load(Ordering::Relaxed) == 1).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 1);
    assert_eq!(pending(&mut admin).await, 1);
    let letters = bus.events().dead_letters(CHANNEL).unwrap();
    assert_eq!(letters.count().await.unwrap(), 0);
}

#[tokio::test]
async fn ended_sessions_change_no_order() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let handled: Arc<Mutex<BTreeMap<u64, Vec<u64>>>> = Arc::default();
    let consumer = by_task(bus.events().consumer().options(options("one")), 4);
    let consumer = consumer.on(CHANNEL, {
        let handled = Arc::clone(&handled);
        move |event| {
            let handled = Arc::clone(&handled);
            async move {
                tokio::time::sleep(Duration::from_millis(3)).await;
                let (task, number) = (told(&event, "task"), told(&event, "number"));
                handled
                    .lock()
                    .unwrap()
                    .entry(task)
                    .or_default()
                    .push(number);
                Ok::<_, Infallible>(())
            }
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    for round in 0..8 {
        let numbers = round * 24..round * 24 + 24;
        emit(&bus, numbers.map(|number| (number % 6, number))).await;
        ask(&mut admin, &["CLIENT", "KILL", "USER", "worker"]).await;
    }
    until("all are handled", async || {
        let all: usize = handled.lock().unwrap().values().map(Vec::len).sum();
        (all >= 192).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(pending(&mut admin).await, 0);
    for (task, numbers) in handled.lock().unwrap().iter() {
        let in_order: Vec<u64> = (0..192).filter(|number| number % 6 == *task).collect();
        assert_eq!(*numbers, in_order);
    }
}

#[tokio::test]
async fn an_acknowledgment_that_nobody_answers_is_said_again_without_the_handler() {
    let process = Arc::new(server(&[]).await);
    let mut admin = process.admin().await;
    emit(&client(&process), [(1, 0), (1, 1)]).await;
    let bus = impatient(&process);
    let handled: Arc<Mutex<Vec<u64>>> = Arc::default();
    let consumer = by_task(bus.events().consumer().options(options("one")), 2);
    let consumer = consumer.on(CHANNEL, {
        let (process, handled) = (Arc::clone(&process), Arc::clone(&handled));
        move |event| {
            let number = told(&event, "number");
            handled.lock().unwrap().push(number);
            if number == 0 {
                process.freeze();
            }
            async { Ok::<_, Infallible>(()) }
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("the first is handled", async || {
        (!handled.lock().unwrap().is_empty()).then_some(())
    })
    .await;
    // Longer than one call takes with all its repetitions.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*handled.lock().unwrap(), [0]);
    process.thaw();
    until("both are acknowledged", async || {
        (handled.lock().unwrap().len() >= 2 && pending(&mut admin).await == 0).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(*handled.lock().unwrap(), [0, 1]);
}

#[tokio::test]
async fn an_event_whose_key_cannot_be_told_is_ordered_by_its_channel() {
    let process = server(&[]).await;
    let bus = client(&process);
    let event = bus.events().event(CHANNEL, &json!({"no": "task"})).unwrap();
    bus.events().emit(&event).await.unwrap();
    emit(&bus, [(1, 7)]).await;
    let handled = Arc::new(AtomicUsize::new(0));
    let consumer = by_task(bus.events().consumer().options(options("one")), 2);
    let consumer = consumer.on(CHANNEL, {
        let handled = Arc::clone(&handled);
        move |_| {
            handled.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Infallible>(()) }
        }
    });
    let (stopper, running) = start(consumer.unwrap());
    until("both are handled", async || {
        (handled.load(Ordering::Relaxed) == 2).then_some(())
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
}
