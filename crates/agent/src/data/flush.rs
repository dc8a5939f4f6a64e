//! Emptying keyspaces by order: a server that leads drops their keys, a few at each look, and nothing else.
//!
//! It is known to this process only. Whoever is restarted, or takes the lead over, is ordered anew and begins anew: what is gone stays
//! gone.

use super::DataAgent;
use super::led::{IN_ONE_GO, refusal};
use crate::error::AgentError;
use crate::order::failed;
use crate::trouble::Trouble;
use cachebus_admin::{Error, Server};
use cachebus_core::flush::{AT_ONCE, Keys, LOOKED_AT, judge_order};
use cachebus_core::protocol::{FlushOrder, FlushOutcome, FlushReport, FlushStatus, Phase, Refusal};
use tokio::time::Instant;

/// What [`Flush::trouble`] is about.
const EMPTY: &str = "keyspaces are not emptied";

/// The last flush that was ordered of a server that leads.
#[derive(Debug, Default)]
pub(super) struct Flush {
    task: Option<Task>,
    trouble: Trouble,
}

/// An order that is obeyed.
#[derive(Debug)]
struct Task {
    order: FlushOrder,
    keys: Keys,
    next: Next,
    removed: u64,
    /// Why the server did not take the last step.
    hindered: Option<Refusal>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Remove the keys that are whole keyspaces.
    Whole,
    /// Look at the keys behind this cursor.
    Look(u64),
    /// Nothing.
    End,
}

impl Flush {
    pub(super) fn status(&self) -> FlushStatus {
        FlushStatus {
            last: self.task.as_ref().map(Task::report),
        }
    }

    /// Whether there is more to do, and the server goes along.
    pub(super) fn is_under_way(&self) -> bool {
        let task = self.task.as_ref();
        task.is_some_and(|task| task.next != Next::End && task.hindered.is_none())
    }

    fn number(&self) -> Option<u64> {
        self.task.as_ref().map(|task| task.order.number)
    }

    /// Begins with an order, unless it is obeyed already.
    fn begin(&mut self, order: FlushOrder) {
        if self.task.as_ref().is_some_and(|task| task.order == order) {
            return;
        }
        tracing::info!(number = order.number, keys = ?order.keys, "empties keyspaces");
        self.task = Some(Task {
            keys: Keys::of(&order),
            order,
            next: Next::Whole,
            removed: 0,
            hindered: None,
        });
    }

    /// Goes on for a while.
    pub(super) async fn go_on(&mut self, server: &Server) -> Result<(), AgentError> {
        let begun = Instant::now();
        for _ in 0..AT_ONCE {
            let Some(task) = self.task.as_mut().filter(|task| task.next != Next::End) else {
                break;
            };
            match task.step(server).await {
                Ok(()) => {
                    task.hindered = None;
                    self.trouble.is_over(EMPTY);
                }
                Err(error) => {
                    let error = refusal(error)?;
                    self.trouble.is(EMPTY, &error);
                    task.hindered = Some(failed(&error));
                    break;
                }
            }
            if begun.elapsed() >= IN_ONE_GO {
                break;
            }
        }
        Ok(())
    }
}

impl Task {
    fn report(&self) -> FlushReport {
        let outcome = match (&self.hindered, self.next) {
            (Some(why), _) => FlushOutcome::Hindered(why.clone()),
            (None, Next::End) => FlushOutcome::Done {
                removed: self.removed,
            },
            (None, Next::Whole | Next::Look(_)) => FlushOutcome::Running,
        };
        FlushReport {
            number: self.order.number,
            outcome,
        }
    }

    /// One call that looks, and one that removes what it found. A step that fails is done anew.
    async fn step(&mut self, server: &Server) -> Result<(), Error> {
        self.next = match self.next {
            Next::Whole => {
                self.remove(server, self.keys.whole().to_vec()).await?;
                match self.keys.pattern() {
                    Some(_) => Next::Look(0),
                    None => Next::End,
                }
            }
            Next::Look(cursor) => {
                let pattern = self.keys.pattern();
                let (next, mut found) = server.scan(cursor, pattern, LOOKED_AT).await?;
                found.retain(|key| self.keys.include(key));
                self.remove(server, found).await?;
                match next {
                    0 => Next::End,
                    next => Next::Look(next),
                }
            }
            Next::End => Next::End,
        };
        if self.next == Next::End {
            let (number, removed) = (self.order.number, self.removed);
            tracing::info!(number, removed, "keyspaces are emptied");
        }
        Ok(())
    }

    async fn remove(&mut self, server: &Server, keys: Vec<impl AsRef<[u8]>>) -> Result<(), Error> {
        // A call tells more than it was to look at where keys lie close together.
        for keys in keys.chunks(LOOKED_AT) {
            self.removed += server.unlink(keys).await?;
        }
        Ok(())
    }
}

impl DataAgent {
    /// Takes an order up. It is carried out at the looks at the server.
    pub(super) fn obey_flush(&mut self, order: FlushOrder) -> Result<(), Refusal> {
        let last = self.running.as_ref();
        judge_order(
            &order,
            &self.site.config,
            &self.site.pod,
            self.volume.marker(),
            self.phase() == Phase::Leading,
            last.and_then(|running| running.led.flush.number()),
        )?;
        if let Some(running) = &mut self.running {
            running.led.flush.begin(order);
        }
        Ok(())
    }

    /// What is told of it; `None`: the server does not lead.
    pub(super) fn flush_status(&self) -> Option<FlushStatus> {
        let running = self.running.as_ref()?;
        (self.phase() == Phase::Leading).then(|| running.led.flush.status())
    }
}
