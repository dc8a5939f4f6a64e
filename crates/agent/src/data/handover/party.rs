//! Everybody who takes part in a handover: connected and heard before any write is held.

use super::hearing::hear;
use crate::auth;
use crate::error::AgentError;
use crate::order::failed;
use crate::site::Site;
use cachebus_admin::{
    Address, Credentials, Endpoint, Error, Info, NodeRole, PeerSentinel, Sentinel, Server,
    TlsContext,
};
use cachebus_core::credentials::OPERATOR;
use cachebus_core::handover::{
    Choice, Copy, Limits, Own, Scene, Stance, heard_enough, judge, others, still_reading,
};
use cachebus_core::protocol::Refusal;
use cachebus_core::seal::Vote;
use futures::FutureExt as _;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two questions whether replicas have read the end of a crashed server's stream.
const AGAIN: Duration = Duration::from_millis(3);

/// What is to be handed over, and to whom.
pub(super) struct Errand {
    pub(super) site: Site,
    pub(super) tls: Arc<TlsContext>,
    /// Pod that is to lead; `None`: whichever has most.
    pub(super) to: Option<String>,
    /// Newest epoch that this pod knows of.
    pub(super) epoch: u64,
    /// What the server was, where it has crashed.
    pub(super) crashed: Option<Own>,
    /// When that was known.
    pub(super) begun: Instant,
    pub(super) limits: Limits,
}

/// A data node, connected.
pub(super) struct Node {
    pub(super) pod: String,
    pub(super) address: Address,
    pub(super) endpoint: Endpoint,
    pub(super) server: Server,
}

/// A Sentinel, connected, and in whose name it can be told who leads.
pub(super) struct Watcher {
    pub(super) sentinel: Sentinel,
    pub(super) herald: PeerSentinel,
}

/// Those who have answered.
#[derive(Default)]
struct Heard {
    /// Other data nodes.
    nodes: Vec<Node>,
    /// One for each configured Sentinel, as in `stances`.
    watchers: Vec<Option<Watcher>>,
    stances: Vec<Option<Stance>>,
}

/// An answer.
enum Answer {
    Node(Box<Node>),
    /// Of the Sentinel of this number.
    Sentinel(usize, Box<Watcher>, Stance),
    Silence,
}

/// All who take part.
pub(super) struct Party {
    pub(super) errand: Errand,
    pub(super) choice: Choice,
    pub(super) login: Credentials,
    /// `None` after a crash.
    pub(super) own: Option<Node>,
    pub(super) chosen: Node,
    pub(super) others: Vec<Node>,
    /// How many replicas were in the own server's stream.
    pub(super) fed: usize,
    /// One for each configured Sentinel.
    pub(super) watchers: Vec<Option<Watcher>>,
    /// The one of them that is to do its own failover.
    pub(super) picked: Option<usize>,
}

impl Party {
    /// Connects to all, asks them, and judges what they say.
    pub(super) async fn gather(errand: Errand) -> Result<Self, Refusal> {
        let login = auth::credentials(&errand.site.layout.auth_dir, OPERATOR)
            .map_err(|error| failed(&error))?;
        let own = errand.own(&login).await;
        let (own, own_info) = own.map_err(|error| failed(&AgentError::Engine(error)))?;
        let Heard {
            nodes,
            watchers,
            stances,
        } = errand.hear(&login).await;
        let (choice, mut nodes) = errand.judge(&stances, &own_info, nodes).await?;
        let at = nodes.iter().position(|node| node.pod == choice.to);
        let chosen = at
            .map(|at| nodes.swap_remove(at))
            .ok_or_else(|| Refusal::new("NotRunning", format!("{} does not answer", choice.to)))?;
        Ok(Self {
            errand,
            choice,
            login,
            own,
            chosen,
            others: nodes,
            fed: own_info.fed.len(),
            watchers,
            picked: None,
        })
    }

    pub(super) fn limits(&self) -> Limits {
        self.errand.limits
    }
}

impl Errand {
    /// Judges, after a crash once the replicas have read the end of its stream.
    async fn judge(
        &self,
        stances: &[Option<Stance>],
        own: &Own,
        nodes: Vec<Node>,
    ) -> Result<(Choice, Vec<Node>), Refusal> {
        loop {
            let copies = join_all(nodes.iter().map(|node| self.copy(node))).await;
            let copies: Vec<Copy> = copies.into_iter().flatten().collect();
            let scene = Scene {
                names: &self.site.names,
                pod: &self.site.pod,
                epoch: self.epoch,
                crashed: self.crashed.is_some(),
                to: self.to.as_deref(),
                stances,
                own,
                copies: &copies,
            };
            if !still_reading(&scene) || self.begun.elapsed() >= self.limits.catch_up {
                return judge(&scene).map(|choice| (choice, nodes));
            }
            sleep(AGAIN).await;
        }
    }

    async fn own(&self, login: &Credentials) -> Result<(Option<Node>, Own), Error> {
        if let Some(own) = &self.crashed {
            return Ok((None, own.clone()));
        }
        let endpoint = self.site.server(&self.tls);
        let node = self.connect(&self.site.pod, endpoint, login).await?;
        let replication = node.server.replication().await?;
        let own = super::own(&self.site.names, &replication);
        Ok((Some(node), own))
    }

    /// Asks the other data nodes and the Sentinels, all at once.
    async fn hear(&self, login: &Credentials) -> Heard {
        let sentinels = self.site.sentinels(&self.tls);
        let mut heard = Heard::default();
        heard.watchers.resize_with(sentinels.len(), || None);
        heard.stances.resize_with(sentinels.len(), || None);
        let nodes = others(&self.site.names, self.site.config.replicas, &self.site.pod);
        let nodes = nodes.map(|pod| self.node(pod, login).boxed());
        let watchers = sentinels.into_iter().enumerate();
        let watchers = watchers.map(|(number, at)| self.sentinel(number, at, login).boxed());
        let mut pods: Vec<String> = Vec::new();
        let all = nodes.chain(watchers).collect();
        hear(all, self.begun, self.limits, |answer| {
            match answer {
                Answer::Node(node) => {
                    pods.push(node.pod.clone());
                    heard.nodes.push(*node);
                }
                Answer::Sentinel(number, watcher, stance) => {
                    heard.watchers[number] = Some(*watcher);
                    heard.stances[number] = Some(stance);
                }
                Answer::Silence => {}
            }
            heard_enough(self.crashed.as_ref(), &heard.stances, &pods)
        })
        .await;
        heard
    }

    async fn node(&self, pod: String, login: &Credentials) -> Answer {
        let endpoint = self.site.peer(&pod, &self.tls);
        match self.connect(&pod, endpoint, login).await {
            Ok(node) => Answer::Node(Box::new(node)),
            Err(error) => {
                tracing::debug!(pod, %error, "a data node does not answer");
                Answer::Silence
            }
        }
    }

    /// A Sentinel, where it can be told who leads.
    async fn sentinel(&self, number: usize, endpoint: Endpoint, login: &Credentials) -> Answer {
        let heard = async {
            let endpoint = endpoint.with_deadline(self.limits.answer);
            let sentinel = Sentinel::connect(&endpoint, Some(login)).await?;
            let outlook = sentinel.outlook(&self.site.config.master_name).await?;
            Ok::<_, Error>((sentinel, outlook))
        };
        let (sentinel, outlook) = match heard.await {
            Ok(heard) => heard,
            Err(error) => {
                tracing::debug!(%error, "a Sentinel does not answer");
                return Answer::Silence;
            }
        };
        let stance = stance(&outlook);
        match outlook.herald {
            Some(herald) => {
                Answer::Sentinel(number, Box::new(Watcher { sentinel, herald }), stance)
            }
            None => Answer::Silence,
        }
    }

    async fn connect(
        &self,
        pod: &str,
        endpoint: Endpoint,
        login: &Credentials,
    ) -> Result<Node, Error> {
        let endpoint = endpoint.with_deadline(self.limits.answer);
        Ok(Node {
            pod: pod.to_owned(),
            address: self.site.data_address(pod),
            server: Server::connect(&endpoint, Some(login)).await?,
            endpoint,
        })
    }

    /// What a node says of itself; `None`: nothing.
    pub(super) async fn copy(&self, node: &Node) -> Option<Copy> {
        let info: Info = node.server.info().await.ok()?;
        let replication = &info.replication;
        let upstream = replication
            .upstream
            .as_ref()
            .filter(|_| replication.role == NodeRole::Replica);
        Some(Copy {
            pod: node.pod.clone(),
            leads: replication.role == NodeRole::Primary,
            follows: upstream.and_then(|up| self.site.names.data_pod_of_host(&up.primary.host)),
            link_up: upstream.is_some_and(|up| up.up),
            loading: info.loading || upstream.is_some_and(|up| up.sync_in_progress),
            priority: info
                .raw
                .get("slave_priority")
                .and_then(|value| value.parse().ok())
                .unwrap_or_default(),
            history: replication.replication_id.clone(),
            offset: replication.offset,
        })
    }
}

/// What a Sentinel says, as decisions take it.
pub(super) fn stance(outlook: &cachebus_admin::Outlook) -> Stance {
    Stance {
        vote: Vote {
            primary_host: outlook.primary.host.clone(),
            config_epoch: outlook.config_epoch,
        },
        failing_over: outlook.failing_over,
        highest_epoch: outlook.highest_epoch,
    }
}
