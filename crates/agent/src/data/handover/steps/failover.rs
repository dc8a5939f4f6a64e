//! Having a Sentinel do its own failover, where Sentinels do not take up what they are told.

use super::{Node, Party, Watcher};
use crate::error::AgentError;
use crate::order::failed;
use cachebus_admin::{Credentials, Error, MonitoredReplica, Role, Sentinel};
use cachebus_core::handover::{
    Copy, FIRST_CHOICE, Known, Seen, hindmost, promotes, refusal, still_wanted,
};
use cachebus_core::protocol::Refusal;
use futures::future::join_all;
use tokio::time::timeout;

impl Party {
    /// Finds the Sentinel that is to do it.
    pub(super) async fn pick(&mut self) -> Result<Seen, AgentError> {
        if let Seen::Failed(why)
        | Seen::Offsets {
            wanted: Err(why), ..
        } = self.compare_all().await?
        {
            return Ok(Seen::Failed(why));
        }
        self.prefer_chosen().await?;
        let mut why = Refusal::new(refusal::NO_MAJORITY, "no Sentinel answers");
        for number in 0..self.watchers.len() {
            match self.would_promote(number).await {
                Ok(()) => {
                    self.picked = Some(number);
                    tracing::warn!(
                        number,
                        "Sentinels do not take announcements: one is to do its own failover"
                    );
                    return Ok(Seen::Done);
                }
                Err(refused) => why = refused,
            }
        }
        Ok(Seen::NotYet(why))
    }

    /// Whether this Sentinel would promote whom it is to.
    async fn would_promote(&self, number: usize) -> Result<(), Refusal> {
        let site = &self.errand.site;
        let silent = || Refusal::new(refusal::NO_MAJORITY, "a Sentinel does not answer");
        let watcher = self.watchers[number].as_ref().ok_or_else(silent)?;
        let name = &site.config.master_name;
        let asked = async {
            let named = watcher.sentinel.primary_address(name).await?;
            Ok::<_, Error>((named, watcher.sentinel.replicas(name).await?))
        };
        let (named, replicas) = timeout(self.limits().grace, asked)
            .await
            .map_err(|_| silent())?
            .map_err(|error| failed(&AgentError::Engine(error)))?;
        if named.as_ref() != Some(&site.data_address(&site.pod)) {
            let message = format!("a Sentinel does not name {}", site.pod);
            return Err(Refusal::new(refusal::NOT_LEADING, message));
        }
        let known: Vec<Known> = replicas.into_iter().map(known).collect();
        promotes(
            &site.names,
            site.config.replicas,
            &site.pod,
            self.errand.to.as_deref(),
            &known,
        )
    }

    /// Offsets of the own server and of the one that has least, and what Sentinels say.
    pub(super) async fn compare_all(&mut self) -> Result<Seen, AgentError> {
        self.server(super::Side::Own).await?;
        let login = &self.login;
        let nodes = std::iter::once(&mut self.chosen).chain(&mut self.others);
        for reconnected in join_all(nodes.map(|node| node.server(login))).await {
            reconnected?;
        }
        let own = self.own.as_ref().ok_or(AgentError::NotConnected)?;
        let nodes = std::iter::once(&self.chosen).chain(&self.others);
        let (own, copies, stances) = tokio::join!(
            own.server.replication(),
            join_all(nodes.map(|node| self.errand.copy(node))),
            self.stances()
        );
        let own = own?;
        let copies: Vec<Copy> = copies.into_iter().flatten().collect();
        let site = &self.errand.site;
        let (names, replicas) = (&site.names, site.config.replicas);
        let least = hindmost(names, replicas, &site.pod, &own.replication_id, &copies);
        Ok(match least {
            Ok(chosen) => Seen::Offsets {
                own: own.offset,
                chosen,
                wanted: still_wanted(names, &site.pod, &stances),
            },
            Err(why) => Seen::Failed(why),
        })
    }

    /// Has Sentinels prefer the pod that was asked for, where one was, until its agent looks.
    async fn prefer_chosen(&mut self) -> Result<(), AgentError> {
        if self.errand.to.is_none() {
            return Ok(());
        }
        let server = self.server(super::Side::Chosen).await?;
        let priority = FIRST_CHOICE.to_string();
        server
            .config_set(&[("replica-priority", &priority)])
            .await?;
        Ok(())
    }

    pub(super) async fn fail_over(&mut self) -> Result<Seen, AgentError> {
        let preferred = self.prefer_chosen().await;
        tracing::debug!(?preferred, "asking a Sentinel to fail over");
        let name = &self.errand.site.config.master_name;
        let watcher = self.picked()?;
        match watcher.sentinel.failover(name).await {
            Ok(()) => Ok(Seen::Done),
            // A failover runs: whoever is promoted by it is waited for as well.
            Err(error) if error.code().is_some_and(|code| code != "INPROG") => {
                let message = error.to_string();
                Ok(Seen::Refused(Refusal::new(
                    refusal::FAILOVER_REFUSED,
                    message,
                )))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Who leads by now: that one is the chosen one from now on. Sentinels end connections to the one that they promote.
    pub(super) async fn watch(&mut self) -> Seen {
        let (login, grace) = (&self.login, self.errand.limits.grace);
        let nodes = std::iter::once(&mut self.chosen).chain(&mut self.others);
        let asked = nodes.map(|node| async move {
            let leads = timeout(grace, leads(node, login)).await;
            leads.ok()?.ok()
        });
        let leads = join_all(asked).await;
        let silent = leads.iter().any(Option::is_none);
        let Some(at) = leads.iter().position(|leads| *leads == Some(true)) else {
            // Its agent may have set it back meanwhile, and the Sentinel may ask at any moment.
            let preferred = timeout(grace, self.prefer_chosen()).await;
            tracing::trace!(?preferred, "nobody has been promoted yet");
            return Seen::Watched {
                leads: None,
                silent,
                named: 0,
            };
        };
        if let Some(other) = at.checked_sub(1) {
            std::mem::swap(&mut self.chosen, &mut self.others[other]);
        }
        Seen::Watched {
            leads: Some(self.chosen.pod.clone()),
            silent,
            named: self.naming_chosen().await,
        }
    }

    /// How many Sentinels name the chosen server.
    async fn naming_chosen(&self) -> usize {
        let name = &self.errand.site.config.master_name;
        let asked = self.watchers.iter().flatten().map(|watcher| async {
            let named = watcher.sentinel.primary_address(name);
            let named = timeout(self.limits().grace, named).await.ok()?.ok()?;
            named.filter(|named| *named == self.chosen.address)
        });
        join_all(asked).await.into_iter().flatten().count()
    }

    /// Has the Sentinel forget its failover, and for a moment all that it has found. One that was restarted has forgotten it.
    pub(super) async fn abort(&mut self) -> Result<(), AgentError> {
        let name = self.errand.site.config.master_name.clone();
        if self.picked()?.sentinel.is_closed() {
            let endpoint = self.picked()?.sentinel.endpoint();
            let sentinel = Sentinel::connect(endpoint, Some(&self.login)).await?;
            self.picked_mut()?.sentinel = sentinel;
        }
        self.picked()?.sentinel.reset(&name).await?;
        Ok(())
    }

    fn picked(&self) -> Result<&Watcher, AgentError> {
        let watcher = self
            .picked
            .and_then(|number| self.watchers[number].as_ref());
        watcher.ok_or(AgentError::NotConnected)
    }

    fn picked_mut(&mut self) -> Result<&mut Watcher, AgentError> {
        let watcher = self
            .picked
            .and_then(|number| self.watchers[number].as_mut());
        watcher.ok_or(AgentError::NotConnected)
    }
}

async fn leads(node: &mut Node, login: &Credentials) -> Result<bool, Error> {
    let role = node.server(login).await?.role().await?;
    Ok(matches!(role, Role::Primary { .. }))
}

fn known(replica: MonitoredReplica) -> Known {
    Known {
        host: replica.address.host,
        down: replica.flags.is_subjectively_down() || replica.flags.contains("disconnected"),
        priority: replica.priority,
    }
}
