//! Counting the keys of each keyspace: a server that leads is asked for all of its keys, a few at each look, time and again.
//!
//! Nothing is asked where there are no keyspaces. What is counted is for the metrics alone.

use super::led::refusal;
use crate::error::AgentError;
use crate::trouble::Trouble;
use cachebus_admin::Server;
use cachebus_core::keyspaces::{AT_ONCE, Census, LOOKED_AT, PAUSE_MS};
use cachebus_core::protocol::CountedKeyspace;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What [`Counts::trouble`] is about.
const COUNT: &str = "keys are not counted";

/// Keys by keyspace, of a server that leads.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// As counted last, by name; empty until then.
    keys: Arc<BTreeMap<String, u64>>,
    /// The count under way, and the cursor to go on with.
    census: Option<(Census, u64)>,
    /// Begin of the next count; `None`: at once.
    again: Option<Instant>,
    trouble: Trouble,
}

impl Counts {
    /// Keys by keyspace, once they have been counted.
    pub(super) fn keys(&self) -> Arc<BTreeMap<String, u64>> {
        Arc::clone(&self.keys)
    }

    /// Counts the keys.
    pub(super) async fn keep(
        &mut self,
        server: &Server,
        keyspaces: &[CountedKeyspace],
    ) -> Result<(), AgentError> {
        if keyspaces.is_empty() {
            *self = Self::default();
            return Ok(());
        }
        self.begin(keyspaces);
        self.go_on(server).await
    }

    /// Begins to count where that is due, or where the contract is another than when it was begun.
    fn begin(&mut self, keyspaces: &[CountedKeyspace]) {
        if let Some((census, _)) = &self.census
            && census.is_of(keyspaces)
        {
            return;
        }
        let due = self.again.is_none_or(|again| Instant::now() >= again);
        if self.census.is_some() || due {
            self.census = Some((Census::new(keyspaces), 0));
        }
    }

    /// Goes on counting.
    async fn go_on(&mut self, server: &Server) -> Result<(), AgentError> {
        for _ in 0..AT_ONCE {
            let Some((census, cursor)) = &mut self.census else {
                break;
            };
            match server.scan(*cursor, None, LOOKED_AT).await {
                Ok((next, keys)) => {
                    for key in keys {
                        census.saw(&key);
                    }
                    *cursor = next;
                    self.trouble.is_over(COUNT);
                }
                Err(error) => {
                    self.trouble.is(COUNT, &refusal(error)?);
                    self.census = None;
                    self.again = Some(Instant::now() + Duration::from_millis(PAUSE_MS));
                    break;
                }
            }
            if *cursor == 0 {
                self.end();
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some((census, _)) = self.census.take() {
            self.keys = Arc::new(census.result());
            self.again = Some(Instant::now() + Duration::from_millis(PAUSE_MS));
        }
    }
}
