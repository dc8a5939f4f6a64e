//! Where the primary is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::handshake::{Peer, Stream, establish};
use super::link::{Generation, Link};
use super::replies::{checked, parsed};
use crate::binding::{Address, Current, Watched};
use crate::command::Command;
use crate::error::{Error, Result};
use crate::settings::Settings;

/// Knows where the primary is, or asks the Sentinels.
pub(super) struct Primary {
    watched: Arc<Watched>,
    settings: Settings,
    moves: AtomicU64,
    /// Sentinels' epoch of the primary that was found last; 0 where none was asked.
    epoch: AtomicU64,
    /// Where it was found, and in which generation. Locked while it is searched for: one asks for all.
    found: tokio::sync::Mutex<Option<(Generation, Address)>>,
}

impl Primary {
    pub(super) fn new(watched: Arc<Watched>, settings: Settings) -> Self {
        Self {
            watched,
            settings,
            moves: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            found: tokio::sync::Mutex::new(None),
        }
    }

    pub(super) fn generation(&self) -> Generation {
        Generation {
            binding: self.watched.generation(),
            moves: self.moves.load(Ordering::Acquire),
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The primary of this generation is none any more: it is searched for before the next connection.
    pub(super) fn forget(&self, generation: Generation) {
        // Only once for each generation, however many calls failed in it.
        let (seen, next) = (generation.moves, generation.moves + 1);
        let _ = self
            .moves
            .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire);
    }

    /// A new connection to it, after the login.
    pub(super) async fn connect(&self) -> Result<(Stream, Generation)> {
        let generation = self.generation();
        match self.attempt().await {
            Err(Error::AuthenticationFailed(refusal)) => {
                // The files may be newer than what was read of them.
                self.watched.look().await;
                if self.watched.generation() == generation.binding {
                    return Err(Error::AuthenticationFailed(refusal));
                }
                self.attempt().await
            }
            Err(error) if error.is_undone() => {
                // Connections that are open may still be of use, but where this one was to go is asked anew.
                *self.found.lock().await = None;
                Err(error)
            }
            result => result,
        }
    }

    async fn attempt(&self) -> Result<(Stream, Generation)> {
        let current = self.watched.current();
        let generation = Generation {
            binding: current.generation,
            moves: self.moves.load(Ordering::Acquire),
        };
        let address = self.address(&current, generation).await;
        let node = establish(&current, &address, Peer::DataNode, &self.settings).await?;
        if !node.leads {
            self.forget(generation);
            return Err(Error::Refused(format!("{address} is no primary")));
        }
        Ok((node.stream, generation))
    }

    async fn address(&self, current: &Current, generation: Generation) -> Address {
        let binding = &current.binding;
        let Some(name) = binding
            .master_name
            .as_deref()
            .filter(|_| !binding.sentinels.is_empty())
        else {
            return binding.address.clone();
        };
        let mut found = self.found.lock().await;
        if let Some((of, address)) = &*found
            && *of == generation
        {
            return address.clone();
        }
        match self.asked(current, name).await {
            Some(told) => {
                self.epoch.fetch_max(told.epoch, Ordering::AcqRel);
                *found = Some((generation, told.address.clone()));
                told.address
            }
            None => binding.address.clone(),
        }
    }

    /// What the Sentinels say, once most have answered: one that was cut off from the others may not have heard of the newest primary.
    async fn asked(&self, current: &Current, name: &str) -> Option<Told> {
        let sentinels = &current.binding.sentinels;
        let mut answers: FuturesUnordered<_> = sentinels
            .iter()
            .map(|sentinel| self.ask(current, sentinel, name))
            .collect();
        let mut newest: Option<Told> = None;
        let mut heard = 0;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(told) => {
                    heard += 1;
                    if newest.as_ref().is_none_or(|known| told.epoch > known.epoch) {
                        newest = Some(told);
                    }
                }
                Err(error) => tracing::debug!(%error, "a Sentinel does not answer"),
            }
            if heard > sentinels.len() / 2 {
                break;
            }
        }
        newest
    }

    async fn ask(&self, current: &Current, sentinel: &Address, name: &str) -> Result<Told> {
        let peer = establish(current, sentinel, Peer::Sentinel, &self.settings).await?;
        let unused = Generation {
            binding: current.generation,
            moves: 0,
        };
        let question = Command::new("SENTINEL").arg("MASTER").arg(name);
        let reply = Link::on(peer.stream, unused)
            .await?
            .ask(&question, self.settings.command_timeout)
            .await
            .map_err(|_| Error::Unavailable(format!("no answer of {sentinel}")))?;
        let state = checked("SENTINEL", reply)?;
        Told::of(&parsed("SENTINEL", state)?)
            .ok_or_else(|| Error::Unavailable(format!("{sentinel} does not know the primary")))
    }
}

/// What a Sentinel says.
struct Told {
    address: Address,
    epoch: u64,
}

impl Told {
    fn of(state: &HashMap<String, String>) -> Option<Self> {
        Some(Self {
            address: Address {
                host: state.get("ip")?.clone(),
                port: state.get("port")?.parse().ok()?,
            },
            epoch: state.get("config-epoch")?.parse().ok()?,
        })
    }
}
