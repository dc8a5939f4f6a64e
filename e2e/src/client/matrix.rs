//! Every attempt of a file of cells, really made.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cachebus_e2e::cells::{Cell, Surprise, Verdict, Walk, Way};
use futures::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisError, Value};

use crate::binding::Binding;
use crate::connect::{client, connect_to};
use crate::say::say_json;

/// Commands after which a connection is of no use to others, should they be granted.
const CONNECTION_CHANGERS: &[&str] = &[
    "asking",
    "auth",
    "client",
    "hello",
    "monitor",
    "multi",
    "psubscribe",
    "psync",
    "punsubscribe",
    "quit",
    "readonly",
    "replconf",
    "reset",
    "select",
    "ssubscribe",
    "subscribe",
    "sunsubscribe",
    "sync",
    "unsubscribe",
    "watch",
];

/// Attempts that are under way at once, each on connections of its own: most of a walk is waiting.
const LANES: usize = 4;

/// What is lost on the way says nothing of rights: it is tried anew for so long, by a new connection each time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes each attempt; prints what came of all of them.
pub async fn run(binding: &Binding, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let cells: Vec<Cell> = serde_json::from_slice(&text)?;
    let lanes = cells
        .chunks(cells.len().div_ceil(LANES).max(1))
        .map(|part| Lane::of(binding).walk(part));
    let mut walk = Walk::default();
    for part in join_all(lanes).await {
        walk.attempts += part.attempts;
        walk.granted += part.granted;
        walk.surprises.extend(part.surprises);
    }
    say_json(&walk)
}

/// Makes some of the attempts one after the other.
struct Lane<'a> {
    binding: &'a Binding,
    /// By each way, once it was found.
    clients: BTreeMap<Way, Client>,
    connections: BTreeMap<Way, MultiplexedConnection>,
}

impl<'a> Lane<'a> {
    const fn of(binding: &'a Binding) -> Self {
        Self {
            binding,
            clients: BTreeMap::new(),
            connections: BTreeMap::new(),
        }
    }

    async fn walk(mut self, cells: &[Cell]) -> Walk {
        let mut walk = Walk::default();
        for cell in cells {
            let start = Instant::now();
            let (got, words) = loop {
                let (got, words) = self.attempt(cell).await;
                if got != Verdict::Lost || start.elapsed() > PATIENCE {
                    break (got, words);
                }
            };
            walk.attempts += 1;
            walk.granted += usize::from(got == Verdict::Granted);
            if !cell.expected.is_met_by(got) {
                let cell = cell.clone();
                walk.surprises.push(Surprise { cell, got, words });
            }
        }
        walk
    }

    async fn attempt(&mut self, cell: &Cell) -> (Verdict, String) {
        let name = cell.command[0].to_ascii_lowercase();
        let answer = match name.as_str() {
            "subscribe" | "psubscribe" => self.subscribe(cell).await,
            _ => self.send(cell).await,
        };
        let (got, words) = match answer {
            Ok(()) => (Verdict::Granted, String::new()),
            Err(error) => match error.downcast_ref::<RedisError>() {
                Some(refusal) => (judge(refusal), refusal.to_string()),
                None => (Verdict::Lost, format!("{error:#}")),
            },
        };
        if got == Verdict::Lost {
            self.clients.remove(&cell.way);
        }
        let changed = got == Verdict::Granted && CONNECTION_CHANGERS.contains(&name.as_str());
        if got == Verdict::Lost || changed {
            self.connections.remove(&cell.way);
        }
        (got, words)
    }

    async fn send(&mut self, cell: &Cell) -> anyhow::Result<()> {
        let mut connection = match self.connections.remove(&cell.way) {
            Some(open) => open,
            None => connect_to(self.client(cell.way).await?).await?,
        };
        let mut command = redis::Cmd::new();
        for argument in &cell.command {
            command.arg(argument);
        }
        let answer = command.query_async::<Value>(&mut connection).await;
        self.connections.insert(cell.way, connection);
        answer?;
        Ok(())
    }

    async fn subscribe(&mut self, cell: &Cell) -> anyhow::Result<()> {
        let mut subscription = self.client(cell.way).await?.get_async_pubsub().await?;
        let channels = &cell.command[1..];
        if cell.command[0].eq_ignore_ascii_case("subscribe") {
            subscription.subscribe(channels).await?;
        } else {
            subscription.psubscribe(channels).await?;
        }
        Ok(())
    }

    async fn client(&mut self, way: Way) -> anyhow::Result<&Client> {
        Ok(match self.clients.entry(way) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(none) => none.insert(client(self.binding, way).await?),
        })
    }
}

fn judge(error: &RedisError) -> Verdict {
    match error.code() {
        Some("NOPERM") if error.to_string().contains("permissions to run the '") => {
            Verdict::CommandDenied
        }
        Some("NOPERM") => Verdict::ArgumentDenied,
        // `enable-debug-command` and `enable-module-command` are judged before the rights.
        Some(_) if error.to_string().contains(" command not allowed. ") => Verdict::SwitchedOff,
        Some(_) => Verdict::Granted,
        None => Verdict::Lost,
    }
}
