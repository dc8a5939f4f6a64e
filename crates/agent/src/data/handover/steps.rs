//! Carrying out the steps of a handover.

mod failover;

use super::own;
use super::party::{Errand, Node, Party, Watcher, stance};
use crate::data::fence::replicas_to_write;
use crate::error::AgentError;
use crate::order::failed;
use crate::redis_conf::{SEALED_HOST, SEALED_PORT};
use cachebus_admin::{Address, Credentials, Error, Role, Server};
use cachebus_core::credentials::OPERATOR;
use cachebus_core::handover::{Handover, Seen, Side, Stance, Step, still_wanted};
use cachebus_core::protocol::HandoverOutcome;
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Before a step is taken once more.
const AGAIN: Duration = Duration::from_millis(3);
/// The same where what has to change takes seconds, and nothing stands still meanwhile.
const AT_LEISURE: Duration = Duration::from_millis(50);
/// What a replica has to answer a call while clients are held. It has heard it by then; those who do not answer are told once more when
/// nobody is held.
const CALLED: Duration = Duration::from_millis(20);

impl Party {
    /// Takes one step after the other to the end. Says what came of it, and who was to lead.
    pub(super) async fn carry_out(mut self, mut handover: Handover) -> (HandoverOutcome, String) {
        let since = if self.own.is_some() {
            Instant::now()
        } else {
            self.errand.begun
        };
        let mut step = handover.begin();
        loop {
            if let Step::End(outcome) = step {
                return (outcome, handover.to().to_owned());
            }
            let seen = self.take(&step).await;
            tracing::debug!(?step, ?seen, elapsed = ?since.elapsed(), "a step of the handover");
            let next = handover.next(seen, since.elapsed());
            if next == step {
                sleep(if step == Step::Pick {
                    AT_LEISURE
                } else {
                    AGAIN
                })
                .await;
            }
            step = next;
        }
    }

    async fn take(&mut self, step: &Step) -> Seen {
        let taken = match step {
            Step::Compare => self.compare().await,
            Step::Ask => self.ask().await,
            Step::Feeds(side) => self.feeds(*side).await,
            Step::Back => self.back().await,
            Step::Announce(side, epoch) => Ok(self.announce(*side, *epoch).await),
            Step::CompareAll => self.compare_all().await,
            Step::Pick => self.pick().await,
            Step::FailOver => self.fail_over().await,
            Step::Watch => Ok(self.watch().await),
            _ => self.command(step).await.map(|()| Seen::Done),
        };
        taken.unwrap_or_else(|error| Seen::Failed(failed(&error)))
    }

    async fn command(&mut self, step: &Step) -> Result<(), AgentError> {
        match step {
            Step::Hold => {
                let limit = self.limits().held();
                self.server(Side::Own).await?.pause_writes(limit).await?;
            }
            Step::Release => self.server(Side::Own).await?.unpause().await?,
            Step::Demote(side) => {
                let primary = self.address(match side {
                    Side::Own => Side::Chosen,
                    Side::Chosen => Side::Own,
                });
                self.server(*side).await?.replica_of(&primary).await?;
            }
            Step::Promote(side) => {
                let server = self.server(*side).await?;
                server.promote().await?;
                if *side == Side::Own {
                    // They may have been called to the chosen one.
                    self.gather_others(Side::Own, self.limits().grace).await;
                } else {
                    // Its agent looks at once where its connection ends, so that routes and orders go by what is.
                    let woken = server.client_kill_user(OPERATOR).await;
                    tracing::debug!(?woken, "the new primary's agent is woken");
                }
            }
            Step::Gather if self.own.is_some() => {
                // Nobody is held any more, and who goes on following this server loses it when it is stopped.
                self.gather_others(Side::Chosen, self.limits().answer).await;
            }
            Step::Gather => self.gather_others(Side::Chosen, self.limits().grace).await,
            Step::Call => {
                self.come_anew().await?;
                self.gather_others(Side::Chosen, CALLED).await;
            }
            Step::Abort => self.abort().await?,
            Step::Compare
            | Step::CompareAll
            | Step::Ask
            | Step::Feeds(_)
            | Step::Back
            | Step::Announce(..)
            | Step::Pick
            | Step::FailOver
            | Step::Watch
            | Step::End(_) => {}
        }
        Ok(())
    }

    async fn compare(&mut self) -> Result<Seen, AgentError> {
        self.server(Side::Own).await?;
        self.server(Side::Chosen).await?;
        let Some(own) = &self.own else {
            return Err(AgentError::NotConnected);
        };
        let (own, chosen, stances) = tokio::join!(
            own.server.replication(),
            self.chosen.server.replication(),
            self.stances()
        );
        let site = &self.errand.site;
        Ok(Seen::Offsets {
            own: own?.offset,
            chosen: chosen?.offset,
            wanted: still_wanted(&site.names, &site.pod, &stances),
        })
    }

    async fn ask(&mut self) -> Result<Seen, AgentError> {
        let role = self.server(Side::Chosen).await?.role().await?;
        Ok(Seen::Leads(matches!(role, Role::Primary { .. })))
    }

    async fn feeds(&mut self, side: Side) -> Result<Seen, AgentError> {
        let replication = self.server(side).await?.replication().await?;
        let Errand { site: here, .. } = &self.errand;
        let fed = own(&here.names, &replication).fed;
        Ok(Seen::Feeds(match side {
            Side::Own => fed.len() >= self.fed,
            Side::Chosen => fed.contains(&here.pod),
        }))
    }

    async fn back(&mut self) -> Result<Seen, AgentError> {
        let replication = self.server(Side::Chosen).await?.replication().await?;
        let Errand { site: here, .. } = &self.errand;
        let needed = replicas_to_write(&here.directives()?);
        let fed = own(&here.names, &replication).fed;
        Ok(Seen::Backed(fed.len() >= needed))
    }

    async fn stances(&self) -> Vec<Option<Stance>> {
        let name = &self.errand.site.config.master_name;
        join_all(self.watchers.iter().map(|watcher| async {
            let asked = watcher.as_ref()?.sentinel.outlook(name);
            let outlook = timeout(self.limits().grace, asked).await.ok()?.ok()?;
            Some(stance(&outlook))
        }))
        .await
    }

    /// How many Sentinels name this side once they have been told, and how many do not. All are told at once; once a majority
    /// has answered alike, nobody waits for the others: clients are held.
    async fn announce(&self, side: Side, epoch: u64) -> Seen {
        let (name, primary) = (&self.errand.site.config.master_name, self.address(side));
        let mut told: FuturesUnordered<_> = self
            .watchers
            .iter()
            .flatten()
            .map(|watcher| timeout(self.limits().grace, tell(watcher, name, &primary, epoch)))
            .collect();
        let (mut taken, mut declined) = (0, 0);
        while taken.max(declined) < self.choice.majority {
            match told.next().await {
                Some(Ok(Ok(true))) => taken += 1,
                Some(Ok(Ok(false))) => declined += 1,
                Some(Ok(Err(error))) => {
                    tracing::debug!(%error, "a Sentinel does not take an announcement");
                    declined += usize::from(error.code().is_some());
                }
                Some(Err(_)) => {}
                None => break,
            }
        }
        Seen::Named { taken, declined }
    }

    /// Sentinels do the same, at leisure, for those who are not reached.
    async fn gather_others(&mut self, to: Side, patience: Duration) {
        let primary = self.address(to);
        let login = &self.login;
        join_all(self.others.iter_mut().map(|node| async {
            let told = timeout(patience, node.follow(&primary, login)).await;
            if !matches!(told, Ok(Ok(()))) {
                tracing::debug!(pod = node.pod, ?told, "a replica is left to the Sentinels");
            }
        }))
        .await;
    }

    /// Engines connect at once only to a primary that is another one than before.
    async fn come_anew(&mut self) -> Result<(), AgentError> {
        let nobody = Address::new(SEALED_HOST, SEALED_PORT);
        let primary = self.address(Side::Chosen);
        let own = self.server(Side::Own).await?;
        own.replica_of(&nobody).await?;
        Ok(own.replica_of(&primary).await?)
    }

    fn address(&self, side: Side) -> Address {
        match side {
            Side::Own => self.errand.site.data_address(&self.errand.site.pod),
            Side::Chosen => self.chosen.address.clone(),
        }
    }

    /// The way to a server, made anew where it has ended: Sentinels end it when they change a role.
    async fn server(&mut self, side: Side) -> Result<&Server, AgentError> {
        let node: &mut Node = match side {
            Side::Own => self.own.as_mut().ok_or(AgentError::NotConnected)?,
            Side::Chosen => &mut self.chosen,
        };
        Ok(node.server(&self.login).await?)
    }
}

impl Node {
    async fn follow(&mut self, primary: &Address, login: &Credentials) -> Result<(), Error> {
        self.server(login).await?.replica_of(primary).await
    }

    /// The way to its server, made anew where it has ended.
    async fn server(&mut self, login: &Credentials) -> Result<&Server, Error> {
        if self.server.is_closed() {
            self.server = Server::connect(&self.endpoint, Some(login)).await?;
        }
        Ok(&self.server)
    }
}

/// Tells a Sentinel who leads, and says whether it names that one then.
async fn tell(watcher: &Watcher, name: &str, primary: &Address, epoch: u64) -> Result<bool, Error> {
    let Watcher { sentinel, herald } = watcher;
    sentinel.announce(name, primary, epoch, herald).await?;
    Ok(sentinel.primary_address(name).await?.as_ref() == Some(primary))
}
