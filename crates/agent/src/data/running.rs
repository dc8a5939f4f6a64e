//! What is known of a running data node.

use super::farewell::Farewell;
use super::fence::Fence;
use super::led::Led;
use crate::error::AgentError;
use crate::redis_conf::{SEALED_HOST, SEALED_PORT};
use crate::serving::Certificate;
use crate::snapshot::{STALE, is_silence};
use crate::trouble::Trouble;
use cachebus_admin::{Info, NodeRole, Server};
use cachebus_core::names::Names;
use cachebus_core::protocol::{Phase, RefusedSetting};
use cachebus_core::seal::{Role, Sighting};
use cachebus_core::tls::fingerprint;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// What [`Running::trouble`] is about.
pub(super) const LOOK: &str = "the look at the server fails";

/// Time until a setting that was refused is worth another try: a full disk, say, does not stay full.
const REFUSED: Duration = Duration::from_secs(30);
/// Time after which one that nobody has tried again is taken for one that nobody asks for any more.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// How long a replica whose link has ended is as good to read as before: a handover takes less.
const RECENT: Duration = Duration::from_secs(3);

/// A started server.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) connection: Option<Server>,
    /// When it last showed a sign of life, or was started.
    pub(super) answered: Instant,
    /// When it last told how it is, or was started.
    told: Instant,
    pub(super) trouble: Trouble,
    /// The last answer; `None` while there is none.
    pub(super) info: Option<Info>,
    /// Its settings when they were last compared; empty until then.
    pub(super) config: BTreeMap<String, String>,
    /// What it was ordered and did not take, and when that was last tried.
    refused: BTreeMap<String, (RefusedSetting, Instant)>,
    /// `replica-priority` as last set.
    pub(super) priority: u32,
    /// Its link was up since it began to follow this host, and no full synchronisation has begun since.
    pub(super) linked: Option<String>,
    /// When its link was last up.
    in_sync: Option<Instant>,
    /// `rdb_last_save_time` when its memory had become a whole copy; `None` while it is none.
    whole_since_save: Option<u64>,
    pub(super) farewell: Farewell,
    /// This agent made it the primary, by order or because Sentinels name it.
    decided: bool,
    /// Since when it leads because others made it.
    promoted: Option<Instant>,
    pub(super) fence: Fence,
    pub(super) led: Led,
    /// The certificate that it was last told to load.
    pub(super) certificate: Certificate,
    /// Fingerprint of the one that it showed at the last connection.
    pub(super) served: Option<String>,
    /// Users and settings are compared with what they shall be when this has passed.
    pub(super) compare_at: Instant,
}

impl Running {
    pub(super) fn new(priority: u32, certificate: Certificate) -> Self {
        Self {
            connection: None,
            answered: Instant::now(),
            told: Instant::now(),
            trouble: Trouble::default(),
            info: None,
            config: BTreeMap::new(),
            refused: BTreeMap::new(),
            priority,
            linked: None,
            in_sync: None,
            whole_since_save: None,
            farewell: Farewell::default(),
            decided: false,
            promoted: None,
            fence: Fence::new(),
            led: Led::new(),
            certificate,
            served: None,
            compare_at: Instant::now(),
        }
    }

    /// Asks by this connection from now on.
    pub(super) fn connected(&mut self, server: Server) {
        let shown = server.peer_certificate();
        self.served = shown.map(|certificate| fingerprint(certificate));
        self.connection = Some(server);
    }

    /// Where it stands.
    pub(super) fn phase(&self, names: &Names) -> Phase {
        match self.info.as_ref() {
            None => Phase::Down,
            Some(info) if info.loading => Phase::Loading,
            Some(info) => match upstream(info) {
                None => Phase::Leading,
                Some(upstream) if is_seal(upstream) => Phase::Sealed,
                Some(upstream) => Phase::Following(
                    names
                        .data_pod_of_host(&upstream.primary.host)
                        .unwrap_or_else(|| upstream.primary.host.clone()),
                ),
            },
        }
    }

    /// What its marker follows from; `None` while it loads or is sealed.
    pub(super) fn sighting(&self) -> Option<Sighting<'_>> {
        let info = self.info.as_ref().filter(|info| !info.loading)?;
        let role = match upstream(info) {
            None => Role::Leading,
            Some(upstream) if is_seal(upstream) => return None,
            Some(upstream) => Role::Following {
                primary: &upstream.primary.host,
                link_up: upstream.up,
                syncing: upstream.sync_in_progress,
            },
        };
        Some(Sighting {
            role,
            rewriting: self.is_rewriting(),
            aof: info.aof.enabled,
        })
    }

    /// Whether its link is up, or was until just now.
    pub(super) fn was_in_sync(&self) -> bool {
        self.in_sync.is_some_and(|at| at.elapsed() < RECENT)
    }

    /// An append-only file rewrite is running or scheduled.
    pub(super) fn is_rewriting(&self) -> bool {
        self.info.as_ref().is_some_and(|info| {
            info.aof.rewrite_in_progress
                || info
                    .raw
                    .get("aof_rewrite_scheduled")
                    .is_some_and(|value| value != "0")
        })
    }

    /// An order of these settings was carried out but for those that it refused.
    pub(super) fn was_told(
        &mut self,
        settings: &[(&str, &str)],
        refused: BTreeMap<String, RefusedSetting>,
    ) {
        for (directive, _) in settings {
            self.refused.remove(*directive);
        }
        let now = Instant::now();
        let refused = refused.into_iter();
        self.refused
            .extend(refused.map(|(directive, why)| (directive, (why, now))));
    }

    /// What it does not take. That stays while it is tried again and again: what people are told of it comes from here.
    pub(super) fn refused(&self) -> BTreeMap<String, RefusedSetting> {
        let asked_for = self
            .refused
            .iter()
            .filter(|(_, (_, at))| at.elapsed() < FORGOTTEN);
        let told = asked_for.map(|(directive, (refused, at))| {
            let refused = RefusedSetting {
                due: at.elapsed() >= REFUSED,
                ..refused.clone()
            };
            (directive.clone(), refused)
        });
        told.collect()
    }

    /// It is made the primary by this agent.
    pub(super) fn leads_by_decision(&mut self) {
        self.decided = true;
    }

    /// For how long it has led, where others made it.
    pub(super) fn promoted(&self) -> Option<Duration> {
        self.promoted.map(|since| since.elapsed())
    }

    /// Whether a snapshot of its memory is a whole copy, and is what a shutdown leaves behind.
    pub(super) fn will_save(&self) -> bool {
        let Some(info) = &self.info else {
            return false;
        };
        let saves = self
            .config
            .get("save")
            .is_some_and(|rules| !rules.is_empty());
        self.is_whole(info) && saves && !info.aof.enabled
    }

    /// Whether a snapshot that was begun and finished while its memory was a whole copy is what it would read if it crashed.
    pub(super) fn has_saved(&self) -> bool {
        let info = self.info.as_ref().filter(|info| !info.aof.enabled);
        info.zip(self.whole_since_save)
            .is_some_and(|(info, before)| info.rdb.last_save_time > before)
    }

    /// Whether its memory is a whole copy, of whatever age.
    fn is_whole(&self, info: &Info) -> bool {
        !info.loading && (upstream(info).is_none() || self.linked.is_some())
    }

    /// Keys in memory, once it has loaded.
    pub(super) fn keys(&self) -> Option<u64> {
        let info = self.info.as_ref().filter(|info| !info.loading)?;
        Some(info.keys_total())
    }

    /// Takes note of what the server said.
    pub(super) fn saw(&mut self, info: Info) {
        self.answered = Instant::now();
        self.told = Instant::now();
        if let Some(upstream) = upstream(&info) {
            (self.decided, self.promoted) = (false, None);
            let host = &upstream.primary.host;
            if upstream.sync_in_progress
                || self.linked.as_ref().is_some_and(|linked| linked != host)
            {
                self.linked = None;
            }
            if upstream.up {
                self.linked = Some(host.clone());
                self.in_sync = Some(Instant::now());
            }
            if let Some(priority) = info
                .raw
                .get("slave_priority")
                .and_then(|value| value.parse().ok())
            {
                self.priority = priority;
            }
        } else {
            self.linked = None;
            if !self.decided && !info.loading {
                self.promoted.get_or_insert_with(Instant::now);
            }
        }
        self.whole_since_save = if !self.is_whole(&info) {
            None
        } else if self.whole_since_save.is_none() && info.rdb.save_in_progress {
            // Of what it was before.
            None
        } else {
            self.whole_since_save.or(Some(info.rdb.last_save_time))
        };
        self.info = Some(info);
    }

    /// Returns when the connection has ended. Sentinels end it when they change the server's role.
    pub(super) async fn connection_lost(&mut self) {
        match &mut self.connection {
            Some(server) => server.ended().await,
            None => std::future::pending().await,
        }
        self.connection = None;
    }

    /// Takes note that a call failed. One late answer is no news.
    pub(super) fn note(&mut self, error: &AgentError) {
        if !is_silence(error) {
            self.answered = Instant::now();
        }
        if let AgentError::Engine(error) = error
            && error.needs_reconnect()
        {
            self.connection = None;
            if self.told.elapsed() <= STALE {
                return;
            }
            self.info = None;
        }
        self.trouble.is(LOOK, error);
    }
}

fn upstream(info: &Info) -> Option<&cachebus_admin::UpstreamLink> {
    match info.replication.role {
        NodeRole::Primary => None,
        NodeRole::Replica => info.replication.upstream.as_ref(),
    }
}

fn is_seal(upstream: &cachebus_admin::UpstreamLink) -> bool {
    upstream.primary.host == SEALED_HOST && upstream.primary.port == SEALED_PORT
}

#[cfg(test)]
pub(super) mod tests;
