//! Since when each data pod of a bus has said nothing of what it holds.

use cachebus_core::observed::Node;
use std::collections::BTreeMap;
use std::time::Instant;

/// Since when each data pod of a bus has said nothing of what it holds, by name, with the UID of the pod that is silent: its
/// successor begins anew.
#[derive(Debug, Default)]
pub struct Silences(BTreeMap<String, (String, Instant)>);

impl Silences {
    /// Takes note of a look that was made now, and adds to it for how long each pod has been silent.
    pub fn note(&mut self, nodes: &mut BTreeMap<String, Node>, now: Instant) {
        let before = std::mem::take(&mut self.0);
        for (name, node) in nodes {
            let runs = node.pod.as_ref().filter(|pod| pod.ip.is_some());
            let Some(pod) = runs.filter(|_| !node.tells()) else {
                continue;
            };
            let since = before
                .get(name)
                .filter(|(uid, _)| *uid == pod.uid)
                .map_or(now, |(_, since)| *since);
            let silent = now.saturating_duration_since(since).as_millis();
            self.0.insert(name.clone(), (pod.uid.clone(), since));
            node.silent_ms = u64::try_from(silent).unwrap_or(u64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Silences;
    use cachebus_core::observed::{Node, PodView};
    use cachebus_core::protocol::{AgentStatus, DataStatus, NodeStatus, Phase};
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    fn told(phase: Phase) -> AgentStatus {
        AgentStatus {
            pod: "b-redis-0".to_owned(),
            uid: "u".to_owned(),
            agent_version: String::new(),
            engine: None,
            crashes: 0,
            acl_digest: None,
            certificate_expires: None,
            certificate: None,
            node: NodeStatus::Redis(Box::new(DataStatus {
                phase,
                marker: None,
                keys: None,
                dataset: true,
                replication: None,
                handover: None,
                fenced: None,
                electorate: None,
                set_aside: false,
                config: BTreeMap::new(),
                refused_settings: BTreeMap::new(),
                library: None,
                consumers: None,
                flush: None,
            })),
        }
    }

    fn looks(pods: &[(u64, &str, Option<Phase>)]) -> Vec<u64> {
        let (begin, mut silences) = (Instant::now(), Silences::default());
        let look = |(second, uid, phase): &(u64, &str, Option<Phase>)| {
            let pod = PodView {
                uid: (*uid).to_owned(),
                ip: Some("10.0.0.1".to_owned()),
                ..PodView::default()
            };
            let node = Node {
                pod: Some(pod),
                agent: phase.clone().map(told),
                ..Node::default()
            };
            let mut nodes = BTreeMap::from([("b-redis-0".to_owned(), node)]);
            silences.note(&mut nodes, begin + Duration::from_secs(*second));
            nodes["b-redis-0"].silent_ms
        };
        pods.iter().map(look).collect()
    }

    #[test]
    fn a_silence_begins_with_the_first_look_that_is_missed_and_ends_with_an_answer() {
        let answers = Some(Phase::Loading);
        let silent = looks(&[
            (0, "1", answers.clone()),
            (30, "1", None),
            (40, "1", Some(Phase::Down)),
            (41, "1", answers),
            (42, "1", None),
        ]);
        assert_eq!(silent, [0, 0, 10_000, 0, 0]);
    }

    #[test]
    fn the_successor_of_a_silent_pod_begins_anew() {
        let silent = looks(&[(0, "1", None), (50, "1", None), (51, "2", None)]);
        assert_eq!(silent, [0, 50_000, 0]);
    }
}
