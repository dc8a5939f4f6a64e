//! The configuration file of the Sentinel in this pod: what is wanted, and what it has learned.

use crate::directives::Directives;
use cachebus_admin::{Address, Credentials};
use cachebus_core::protocol::AgentConfig;

/// What the Sentinel knows of its primary and peers, from the file that it keeps itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    my_id: Option<String>,
    current_epoch: Option<String>,
    primary: Option<Address>,
    /// `config-epoch`, `leader-epoch`, `known-replica`, `known-sentinel` of the bus's master name: option and values.
    of_master: Vec<(&'static str, Vec<String>)>,
}

const OF_MASTER: [(&str, usize); 4] = [
    ("config-epoch", 1),
    ("leader-epoch", 1),
    ("known-replica", 2),
    ("known-sentinel", 3),
];

impl Learned {
    /// Reads what `text` holds of `master_name`. Other names, and lines of another form, are left out.
    pub(crate) fn read(text: &str, master_name: &str) -> Self {
        let mut learned = Self::default();
        for line in text.lines() {
            // The engine writes no quotes here; this agent does, and the engine may have had no time to write.
            let words: Vec<&str> = line
                .split_ascii_whitespace()
                .map(|word| word.trim_matches('"'))
                .collect();
            match words.as_slice() {
                ["sentinel", "myid", id] => learned.my_id = Some((*id).to_owned()),
                ["sentinel", "current-epoch", epoch] if is_number(epoch) => {
                    learned.current_epoch = Some((*epoch).to_owned());
                }
                ["sentinel", "monitor", name, host, port, _] if *name == master_name => {
                    learned.primary = port.parse().ok().map(|port| Address::new(*host, port));
                }
                ["sentinel", option, name, values @ ..] if *name == master_name => {
                    learned.of_master.extend(
                        OF_MASTER
                            .iter()
                            .filter(|(known, count)| known == option && *count == values.len())
                            .map(|(known, _)| {
                                (*known, values.iter().map(|&v| v.to_owned()).collect())
                            }),
                    );
                }
                _ => {}
            }
        }
        learned
    }

    /// Whether it monitors the bus's primary.
    pub(crate) fn monitors(&self) -> bool {
        self.primary.is_some()
    }
}

/// What is wanted of the Sentinel in this pod.
#[derive(Debug)]
pub(crate) struct SentinelConf<'a> {
    /// The directives that all Sentinels share.
    pub(crate) shared: &'a str,
    /// What the pod announces.
    pub(crate) announce: &'a Address,
    pub(crate) config: &'a AgentConfig,
    /// The user by which it acts on data nodes and on its peers.
    pub(crate) user: &'a Credentials,
    pub(crate) learned: &'a Learned,
}

impl SentinelConf<'_> {
    /// The file's text. Holds a password. The same learned state gives the same text.
    pub(crate) fn render(&self) -> String {
        let mut lines = Directives::after(self.shared);
        let port = self.announce.port.to_string();
        lines.add("sentinel announce-ip", &[&self.announce.host]);
        lines.add("sentinel announce-port", &[&port]);
        lines.add("sentinel sentinel-user", &[&self.user.username]);
        lines.add("sentinel sentinel-pass", &[self.user.password.expose()]);
        if let Some(id) = &self.learned.my_id {
            lines.add("sentinel myid", &[id]);
        }
        if let Some(epoch) = &self.learned.current_epoch {
            lines.add("sentinel current-epoch", &[epoch]);
        }
        if let Some(primary) = &self.learned.primary {
            self.add_master(&mut lines, primary);
        }
        lines.into_text()
    }

    fn add_master(&self, lines: &mut Directives, primary: &Address) {
        let name = self.config.master_name.as_str();
        let settings = &self.config.monitor;
        let port = primary.port.to_string();
        let quorum = self.config.quorum.to_string();
        lines.add("sentinel monitor", &[name, &primary.host, &port, &quorum]);
        for (option, value) in [
            ("auth-user", self.user.username.clone()),
            ("auth-pass", self.user.password.expose().to_owned()),
            (
                "down-after-milliseconds",
                settings.down_after_ms.to_string(),
            ),
            ("failover-timeout", settings.failover_timeout_ms.to_string()),
            ("parallel-syncs", settings.parallel_syncs.to_string()),
        ] {
            lines.add(&format!("sentinel {option}"), &[name, &value]);
        }
        for (option, values) in &self.learned.of_master {
            let words: Vec<&str> = std::iter::once(name)
                .chain(values.iter().map(String::as_str))
                .collect();
            lines.add(&format!("sentinel {option}"), &words);
        }
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cachebus_api::engine::EngineKind;
    use cachebus_core::protocol::{DurableEvents, MonitorSettings};

    /// As Redis 7.0 leaves it behind.
    const LEFT_BEHIND: &str = r#"port 0
tls-port 26379
sentinel announce-ip "b-sentinel-0.x"
sentinel monitor other-1 10.0.0.9 6379 2
sentinel config-epoch other-1 9
sentinel known-replica other-1 10.0.0.8 6379
# Generated by CONFIG REWRITE
user default off sanitize-payload ~* &* +@all
sentinel myid 0123456789012345678901234567890123456789
sentinel current-epoch 7
sentinel monitor b-1 b-redis-1.x 6379 9
sentinel down-after-milliseconds b-1 1000
sentinel auth-pass b-1 old
sentinel config-epoch b-1 7
sentinel leader-epoch b-1 7
sentinel known-replica b-1 b-redis-0.x 6379
sentinel known-sentinel b-1 b-sentinel-1.x 26379 abcdef
sentinel sentinel-pass old
"#;

    fn config() -> AgentConfig {
        AgentConfig {
            bus: "b".to_owned(),
            namespace: "ns".to_owned(),
            domain: "cluster.local".to_owned(),
            uid: "1".to_owned(),
            master_name: "b-1".to_owned(),
            engine: EngineKind::Redis,
            port: 6379,
            sentinel_port: 26379,
            tls: true,
            sentinels: Vec::new(),
            quorum: 2,
            replica_priority: 100,
            replicas: 2,
            fencing_window_ms: 3_000,
            monitor: MonitorSettings {
                down_after_ms: 5000,
                failover_timeout_ms: 60_000,
                parallel_syncs: 1,
            },
            events: DurableEvents::default(),
            keyspaces: Vec::new(),
        }
    }

    fn rendered(learned: &Learned) -> String {
        SentinelConf {
            shared: "tls-port 26379",
            announce: &Address::new("b-sentinel-0.x", 26379),
            config: &config(),
            user: &Credentials::new("sentinel", "new"),
            learned,
        }
        .render()
    }

    #[test]
    fn learned_state_is_kept_and_settings_and_foreign_names_are_not() {
        let learned = Learned::read(LEFT_BEHIND, "b-1");
        assert!(learned.monitors());
        assert_eq!(
            rendered(&learned),
            r#"tls-port 26379
sentinel announce-ip "b-sentinel-0.x"
sentinel announce-port "26379"
sentinel sentinel-user "sentinel"
sentinel sentinel-pass "new"
sentinel myid "0123456789012345678901234567890123456789"
sentinel current-epoch "7"
sentinel monitor "b-1" "b-redis-1.x" "6379" "2"
sentinel auth-user "b-1" "sentinel"
sentinel auth-pass "b-1" "new"
sentinel down-after-milliseconds "b-1" "5000"
sentinel failover-timeout "b-1" "60000"
sentinel parallel-syncs "b-1" "1"
sentinel config-epoch "b-1" "7"
sentinel leader-epoch "b-1" "7"
sentinel known-replica "b-1" "b-redis-0.x" "6379"
sentinel known-sentinel "b-1" "b-sentinel-1.x" "26379" "abcdef"
"#
        );
    }

    #[test]
    fn state_of_a_bus_of_the_same_name_that_was_deleted_is_dropped() {
        let learned = Learned::read(LEFT_BEHIND, "b-2");
        assert!(!learned.monitors());
        assert!(!rendered(&learned).contains("monitor"));
        assert!(rendered(&learned).contains("sentinel myid"));
    }

    #[test]
    fn rendering_twice_changes_nothing() {
        let once = Learned::read(LEFT_BEHIND, "b-1");
        let twice = Learned::read(&rendered(&once), "b-1");
        assert_eq!(once, twice);
    }
}
