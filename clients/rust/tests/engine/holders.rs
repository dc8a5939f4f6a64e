//! Holders of a lock as processes of their own: only a process can be stopped with its clocks, its timers and its connections.
//!
//! Each is this program once more, running what [`a_holder`] says, and does what it is told by a connection.

use std::collections::HashMap;
use std::env;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cachebus::{CacheBus, Lock, Settings, Source};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::SemaphorePermit;

use crate::lock_history::Number;
use crate::process::signal;

/// Tells a holder where to ask what it is to do.
const ADDRESS: &str = "CACHEBUS_TEST_HOLDER";

/// What a holder is to begin with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) binding: HashMap<String, String>,
    pub(crate) resource: String,
    pub(crate) ttl: Duration,
    /// How long it waits for others.
    pub(crate) wait: Duration,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Lock,
    Look,
    /// To tell the number by which the database is to be written.
    Write,
    Release,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Acquired(Number),
    Held(bool),
    Writes(Number),
    Released(bool),
    Failed(String),
}

/// When a holder is stopped, and for how long.
pub(crate) struct Stopped<'a> {
    pub(crate) after: Duration,
    pub(crate) length: Duration,
    /// Held until it goes on.
    pub(crate) permit: SemaphorePermit<'a>,
}

pub(crate) struct Holder {
    process: Stoppable,
    lines: Lines,
}

impl Holder {
    pub(crate) async fn start(task: &Task) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "holders::a_holder", "--ignored", "--nocapture"])
            .env(ADDRESS, address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Stoppable(child);
        let (stream, _) = listener.accept().await.unwrap();
        let mut lines = Lines::of(stream);
        lines.say(task).await;
        Self { process, lines }
    }

    pub(crate) async fn told(&mut self, order: Order) -> Answer {
        self.lines.say(&order).await;
        let answer = self.lines.hear().await;
        answer.expect("a holder lives as long as it is asked")
    }

    /// The same, while it is stopped for some time, or not yet, or not any more.
    pub(crate) async fn told_while(&mut self, order: Order, stopped: Stopped<'_>) -> Answer {
        let Self { process, lines } = self;
        let stopped = async {
            tokio::time::sleep(stopped.after).await;
            process.stop();
            tokio::time::sleep(stopped.length).await;
            process.go_on();
            drop(stopped.permit);
        };
        let answered = async {
            lines.say(&order).await;
            lines.hear().await
        };
        let (answer, ()) = tokio::join!(answered, stopped);
        answer.expect("a holder lives as long as it is asked")
    }

    pub(crate) fn stop(&self) {
        self.process.stop();
    }

    pub(crate) fn go_on(&self) {
        self.process.go_on();
    }
}

/// A process that ends with this value, stopped or not.
struct Stoppable(Child);

impl Stoppable {
    fn stop(&self) {
        signal(&self.0, "-STOP");
    }

    fn go_on(&self) {
        signal(&self.0, "-CONT");
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        // Each fails only when the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection on which each line is a value.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn of(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    async fn say(&mut self, value: &impl Serialize) {
        let mut line = serde_json::to_vec(value).unwrap();
        line.push(b'\n');
        self.0.write_all(&line).await.unwrap();
    }

    /// `None`: nobody is there any more.
    async fn hear<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.ok()?;
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }
}

#[tokio::test]
#[ignore = "what a holder's process runs; alone it does nothing"]
async fn a_holder() {
    let Ok(address) = env::var(ADDRESS) else {
        return;
    };
    let mut lines = Lines::of(TcpStream::connect(address).await.unwrap());
    let task: Task = lines.hear().await.expect("there is a task");
    let mut settings = Settings::default();
    settings.deadline = Duration::from_secs(20);
    let bus = CacheBus::builder(Source::variables(task.binding));
    let locks = bus.settings(settings).open().unwrap().locks("lock");
    let locks = locks.unwrap().ttl(task.ttl);
    let mut held: Option<Lock> = None;
    while let Some(order) = lines.hear::<Order>().await {
        let answer = match (order, held.take()) {
            (Order::Lock, _) => match locks.lock_within(&*task.resource, task.wait).await {
                Ok(lock) => Answer::Acquired(number(held.insert(lock))),
                Err(error) => Answer::Failed(error.to_string()),
            },
            (Order::Look, Some(lock)) => Answer::Held(held.insert(lock).is_held()),
            (Order::Write, Some(lock)) => Answer::Writes(number(held.insert(lock))),
            (Order::Release, Some(lock)) => match lock.release().await {
                Ok(released) => Answer::Released(released),
                Err(error) => Answer::Failed(error.to_string()),
            },
            (_, None) => Answer::Failed("there is no lock".to_owned()),
        };
        lines.say(&answer).await;
    }
}

fn number(lock: &Lock) -> Number {
    let fence = lock.fence();
    (fence.epoch, fence.counter)
}
