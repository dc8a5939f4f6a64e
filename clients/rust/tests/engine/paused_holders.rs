//! Holders of a lock that pause for longer than it lasts, and failovers, planned ones and such as lose what was acknowledged.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use futures::future::join_all;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::bus::{SERVICE, ask, contract, text};
use crate::holders::{Answer, Holder, Order, Stopped, Task};
use crate::lock_history::{Event, Number, check};
use crate::pair::Pair;
use crate::seed::seed;
use crate::wait::until;

const RESOURCE: &str = "orders";
const KEY: &str = "lock:orders";
const TTL: Duration = Duration::from_millis(400);
const HOLDERS: usize = 4;

/// Holders that are stopped at the same time, at most: the others go on.
const STOPPED: usize = 2;

/// How long a holder is stopped at most where nobody overtakes it.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
enum Failover {
    Planned,
    /// What was written last is lost.
    Crash,
}

/// What the holders have in common, beside the lock.
struct World {
    history: Mutex<Vec<Event>>,
    /// The number with which the database was written last: `KEEP` of `examples/services/ai_model.py`, in memory.
    written: watch::Sender<Option<Number>>,
    pauses: Semaphore,
    is_over: AtomicBool,
}

impl World {
    fn new() -> Self {
        Self {
            history: Mutex::default(),
            written: watch::Sender::default(),
            pauses: Semaphore::new(STOPPED),
            is_over: AtomicBool::new(false),
        }
    }

    fn note(&self, event: Event) {
        self.history.lock().unwrap().push(event);
    }

    fn noted(&self, which: impl Fn(&Event) -> bool) -> usize {
        let history = self.history.lock().unwrap();
        history.iter().filter(|event| which(event)).count()
    }

    fn write(&self, number: Number) {
        let mut history = self.history.lock().unwrap();
        let taken = self.written.send_if_modified(|kept| {
            let taken = *kept <= Some(number);
            if taken {
                *kept = Some(number);
            }
            taken
        });
        history.push(Event::Wrote { number, taken });
    }

    async fn acquired_by(&self, more: usize) {
        let acquired = || self.noted(|event| matches!(event, Event::Acquired { .. }));
        let enough = acquired() + more;
        until("the lock goes from one to another", async || {
            (acquired() >= enough).then_some(())
        })
        .await;
    }

    /// Some have had the lock, one of them has paused for too long, and others have tried to release it.
    async fn goes_on(&self, pair: &Pair, rng: &mut Rng) {
        let refused = || self.noted(|event| matches!(event, Event::Wrote { taken: false, .. }));
        let before = refused();
        let mut admin = pair.leads.admin().await;
        for _ in 0..3 {
            self.acquired_by(2).await;
            self.meddle(&mut admin, rng).await;
        }
        until("a stale holder writes", async || {
            (refused() > before).then_some(())
        })
        .await;
    }

    /// Tries to release the lock by tokens that are not its holder's.
    async fn meddle(&self, admin: &mut MultiplexedConnection, rng: &mut Rng) {
        let mut tokens = vec![format!("{:032x}", rng.u128(..))];
        if let held @ redis::Value::BulkString(_) = ask(admin, &["GET", KEY]).await {
            let (mut token, last) = (text(held), rng.alphanumeric());
            if token.pop() != Some(last) {
                token.push(last);
                tokens.push(token);
            }
        }
        for token in tokens {
            let unlock = ["FCALL", "cachebus_unlock", "1", KEY, &token];
            let released = ask(admin, &unlock).await != redis::Value::Int(0);
            self.note(Event::Meddled { released });
        }
    }

    async fn fail_over(&self, pair: &mut Pair, how: Failover) {
        match how {
            Failover::Planned => {
                pair.switch().await;
                pair.bid_farewell().await;
            }
            Failover::Crash => {
                self.note(Event::Lost);
                pair.part().await;
                self.acquired_by(2).await;
                pair.replace(|leads| {
                    leads.kill();
                    self.note(Event::Lost);
                })
                .await;
                pair.gather().await;
            }
        }
    }

    /// What one holder does until all is over.
    async fn live(&self, by: usize, holder: &mut Holder, mut rng: Rng) {
        while !self.is_over.load(Ordering::Relaxed) {
            self.note(Event::Asks { by });
            let number = match self.lock(holder, &mut rng).await {
                Answer::Acquired(number) => number,
                other => {
                    eprintln!("holder {by}: {other:?}");
                    continue;
                }
            };
            self.note(Event::Acquired { by, number });
            for _ in 0..rng.usize(1..=3) {
                self.note(Event::Looks { by });
                let held = holder.told(Order::Look).await == Answer::Held(true);
                self.note(Event::Looked { by, held });
                if !held {
                    break;
                }
                // An application that is paused here does not know.
                if rng.f64() < 0.3 {
                    self.pause(holder, number).await;
                }
                let writes = holder.told(Order::Write).await;
                assert_eq!(writes, Answer::Writes(number));
                self.write(number);
            }
            self.note(Event::Releases { by });
            match holder.told(Order::Release).await {
                Answer::Released(released) => self.note(Event::Released { by, released }),
                other => eprintln!("holder {by}: {other:?}"),
            }
            // Who asks again at once comes before those who wait.
            tokio::time::sleep(Duration::from_millis(rng.u64(0..50))).await;
        }
    }

    async fn lock(&self, holder: &mut Holder, rng: &mut Rng) -> Answer {
        if rng.f64() < 0.2
            && let Ok(permit) = self.pauses.try_acquire()
        {
            let stopped = Stopped {
                after: (TTL / 4).mul_f64(rng.f64()),
                length: (TTL * 2).mul_f64(rng.f64()),
                permit,
            };
            return holder.told_while(Order::Lock, stopped).await;
        }
        holder.told(Order::Lock).await
    }

    /// Stops a holder until another has the lock and has written.
    async fn pause(&self, holder: &Holder, number: Number) {
        let Ok(_permit) = self.pauses.try_acquire() else {
            return;
        };
        holder.stop();
        let mut written = self.written.subscribe();
        let overtaken = written.wait_for(|written| *written > Some(number));
        // Where nobody overtakes it in time, it was stopped for longer than its lock lasts all the same.
        let _ = timeout(LONGEST_PAUSE, overtaken).await;
        holder.go_on();
    }
}

#[tokio::test]
async fn no_stale_holder_writes_and_nobody_releases_anothers_lock() {
    let mut rng = Rng::with_seed(seed());
    let mut pair = Pair::start(true).await;
    let task = Task {
        binding: pair.binding(SERVICE, &contract()),
        resource: RESOURCE.to_owned(),
        ttl: TTL,
        wait: Duration::from_secs(2),
    };
    let mut holders = Vec::new();
    for _ in 0..HOLDERS {
        holders.push((Holder::start(&task).await, rng.fork()));
    }
    let mut failovers = [Failover::Planned, Failover::Crash, Failover::Planned];
    rng.shuffle(&mut failovers);
    let world = World::new();
    let lives = holders.iter_mut().enumerate();
    let lives = join_all(lives.map(|(by, (holder, rng))| world.live(by, holder, rng.clone())));
    let happens = async {
        for failover in failovers {
            world.goes_on(&pair, &mut rng).await;
            world.fail_over(&mut pair, failover).await;
        }
        world.goes_on(&pair, &mut rng).await;
        world.is_over.store(true, Ordering::Relaxed);
    };
    futures::join!(lives, happens);
    let verdict = check(&world.history.lock().unwrap());
    eprintln!("{verdict:?}");
    assert_eq!(verdict.faults, []);
    // Each failover is one more epoch, and the holders have heard of each.
    let written = *world.written.borrow();
    assert_eq!(written.map(|(epoch, _)| epoch), Some(3));
}
