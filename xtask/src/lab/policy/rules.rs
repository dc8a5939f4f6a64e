//! Network policies as an nftables ruleset that every node can load as it is.

use std::fmt::Write as _;

use super::objects::{Direction, Labels, Namespace, Opening, Peer, Pod, Policy, PortName, Ports};

/// The table that holds the rules, apart from everybody else's.
pub(super) const TABLE: &str = "ip cachebus_policy";

/// Everything the rules are made from.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) namespaces: Vec<Namespace>,
    pub(super) pods: Vec<Pod>,
    pub(super) policies: Vec<Policy>,
}

impl Cluster {
    /// The ruleset: replaces an earlier one in one step.
    ///
    /// Only forwarded packets are judged, so a node always reaches its own pods, as kubelet must.
    pub(super) fn ruleset(&self) -> String {
        let mut chains = String::new();
        let mut jumps = String::new();
        for pod in &self.pods {
            let Some(address) = address(pod) else {
                continue;
            };
            for direction in [Direction::Ingress, Direction::Egress] {
                let policies = self.policies_of(pod, direction);
                if policies.is_empty() {
                    continue;
                }
                let side = own_side(direction);
                let chain = format!("{side}_{}", address.replace('.', "_"));
                let _ = writeln!(jumps, "    ip {side} {address} jump {chain}");
                let _ = writeln!(chains, "  chain {chain} {{");
                for policy in policies {
                    for opening in openings(policy, direction) {
                        for rule in self.allowances(policy, opening, pod, direction) {
                            let _ = writeln!(chains, "    {rule} return");
                        }
                    }
                }
                let _ = writeln!(chains, "    drop\n  }}");
            }
        }
        format!(
            "table {TABLE} {{}}\ndelete table {TABLE}\ntable {TABLE} {{\n{chains}  chain forward {{\n    \
             type filter hook forward priority -10; policy accept;\n    \
             ct state established,related accept\n{jumps}  }}\n}}\n"
        )
    }

    /// The policies that isolate a pod in one direction.
    fn policies_of(&self, pod: &Pod, direction: Direction) -> Vec<&Policy> {
        self.policies
            .iter()
            .filter(|policy| policy.metadata.namespace == pod.metadata.namespace)
            .filter(|policy| policy.spec.pod_selector.selects(&pod.metadata.labels))
            .filter(|policy| isolates(policy, direction))
            .collect()
    }

    /// The matches that let packets of one opening pass.
    fn allowances(
        &self,
        policy: &Policy,
        opening: &Opening,
        pod: &Pod,
        direction: Direction,
    ) -> Vec<String> {
        let other = other_side(direction);
        let mut rules = Vec::new();
        for peer in self.peers(policy, opening) {
            let from = match &peer {
                Reach::Anyone => String::new(),
                Reach::Block(block) => block.replace("SIDE", other),
                Reach::Pod(target) => match address(target) {
                    Some(address) => format!("ip {other} {address}"),
                    None => continue,
                },
            };
            // A named port is the name that the pod on the receiving end gives it.
            let receiver = match (direction, &peer) {
                (Direction::Ingress, _) => Some(pod),
                (Direction::Egress, Reach::Pod(target)) => Some(*target),
                (Direction::Egress, _) => None,
            };
            if opening.ports.is_empty() {
                rules.push(from);
            } else {
                let ports = opening
                    .ports
                    .iter()
                    .filter_map(|port| port_match(port, receiver));
                rules.extend(ports.map(|port| format!("{from} {port}")));
            }
        }
        rules
    }

    fn peers<'a>(&'a self, policy: &Policy, opening: &'a Opening) -> Vec<Reach<'a>> {
        if opening.peers.is_empty() {
            return vec![Reach::Anyone];
        }
        let mut reached = Vec::new();
        for peer in &opening.peers {
            if let Some(block) = &peer.ip_block {
                let mut text = format!("ip SIDE {}", block.cidr);
                if !block.except.is_empty() {
                    let _ = write!(text, " ip SIDE != {{ {} }}", block.except.join(", "));
                }
                reached.push(Reach::Block(text));
            } else {
                let selected = self
                    .pods
                    .iter()
                    .filter(|pod| self.is_peer(policy, peer, pod));
                reached.extend(selected.map(Reach::Pod));
            }
        }
        reached
    }

    fn is_peer(&self, policy: &Policy, peer: &Peer, pod: &Pod) -> bool {
        let in_namespace = match &peer.namespace_selector {
            None => pod.metadata.namespace == policy.metadata.namespace,
            Some(selector) => selector.selects(self.labels_of(&pod.metadata.namespace)),
        };
        in_namespace
            && peer
                .pod_selector
                .as_ref()
                .is_none_or(|selector| selector.selects(&pod.metadata.labels))
    }

    fn labels_of(&self, namespace: &str) -> &Labels {
        static NONE: Labels = Labels::new();
        self.namespaces
            .iter()
            .find(|candidate| candidate.metadata.name == namespace)
            .map_or(&NONE, |namespace| &namespace.metadata.labels)
    }
}

/// Whom an opening lets through.
enum Reach<'a> {
    Anyone,
    /// Matches with the word `SIDE` where source or destination goes.
    Block(String),
    Pod(&'a Pod),
}

/// The pod's address, when it has one of its own and uses it.
fn address(pod: &Pod) -> Option<&str> {
    let has_ended = ["Succeeded", "Failed"].contains(&pod.status.phase.as_str());
    pod.status
        .address
        .as_deref()
        .filter(|_| !pod.spec.host_network && !has_ended)
}

fn isolates(policy: &Policy, direction: Direction) -> bool {
    if policy.spec.policy_types.is_empty() {
        direction == Direction::Ingress || !policy.spec.egress.is_empty()
    } else {
        policy.spec.policy_types.contains(&direction)
    }
}

fn openings(policy: &Policy, direction: Direction) -> &[Opening] {
    match direction {
        Direction::Ingress => &policy.spec.ingress,
        Direction::Egress => &policy.spec.egress,
    }
}

const fn own_side(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "daddr",
        Direction::Egress => "saddr",
    }
}

const fn other_side(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "saddr",
        Direction::Egress => "daddr",
    }
}

/// The match for a port; none for a name that the receiver does not have.
fn port_match(ports: &Ports, receiver: Option<&Pod>) -> Option<String> {
    let protocol = ports.protocol.as_deref().unwrap_or("TCP").to_lowercase();
    Some(match (&ports.first, ports.last) {
        (None, _) => format!("meta l4proto {protocol}"),
        (Some(PortName::Number(first)), Some(last)) => format!("{protocol} dport {first}-{last}"),
        (Some(PortName::Number(number)), None) => format!("{protocol} dport {number}"),
        (Some(PortName::Name(name)), _) => {
            let number = receiver?
                .spec
                .containers
                .iter()
                .flat_map(|container| &container.ports)
                .find(|known| known.name == *name)?
                .container_port;
            format!("{protocol} dport {number}")
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn pod(namespace: &str, name: &str, address: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {"containers": [{"ports": [{"name": "redis", "containerPort": 6379}]}]},
            "status": {"phase": "Running", "podIP": address},
        })
    }

    fn ruleset(policy: &Value) -> String {
        let cluster = Cluster {
            namespaces: serde_json::from_value(json!([
                {"metadata": {"name": "data", "labels": {"kubernetes.io/metadata.name": "data"}}},
                {"metadata": {"name": "apps", "labels": {"kubernetes.io/metadata.name": "apps"}}},
            ]))
            .unwrap(),
            pods: serde_json::from_value(json!([
                pod("data", "redis", "10.0.0.1"),
                pod("data", "other", "10.0.0.2"),
                pod("apps", "client", "10.0.0.3"),
            ]))
            .unwrap(),
            policies: vec![
                serde_json::from_value(json!({
                    "metadata": {"name": "p", "namespace": "data"},
                    "spec": policy,
                }))
                .unwrap(),
            ],
        };
        cluster.ruleset()
    }

    #[test]
    fn a_policy_without_openings_drops_everything_to_its_pods_alone() {
        let rules = ruleset(
            &json!({"podSelector": {"matchLabels": {"app": "redis"}}, "policyTypes": ["Ingress"]}),
        );
        assert!(
            rules.contains("chain daddr_10_0_0_1 {\n    drop\n  }"),
            "{rules}"
        );
        assert!(
            rules.contains("ip daddr 10.0.0.1 jump daddr_10_0_0_1\n"),
            "{rules}"
        );
        assert!(!rules.contains("10.0.0.2"), "{rules}");
        assert!(!rules.contains("ip saddr"), "{rules}");
    }

    #[test]
    fn peers_are_pods_of_the_own_namespace_or_of_those_selected() {
        let own = ruleset(&json!({
            "podSelector": {"matchLabels": {"app": "redis"}},
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": "redis"}]}],
        }));
        assert!(
            own.contains("ip saddr 10.0.0.2 tcp dport 6379 return"),
            "{own}"
        );
        assert!(!own.contains("10.0.0.3"), "{own}");
        let others = ruleset(&json!({
            "podSelector": {"matchLabels": {"app": "redis"}},
            "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "apps"}}}]}],
        }));
        assert!(others.contains("    ip saddr 10.0.0.3 return"), "{others}");
        assert!(!others.contains("ip saddr 10.0.0.2"), "{others}");
    }

    #[test]
    fn egress_names_ports_as_the_receiver_does_and_blocks_with_exceptions() {
        let rules = ruleset(&json!({
            "podSelector": {"matchLabels": {"app": "redis"}},
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [{"podSelector": {"matchLabels": {"app": "other"}}}], "ports": [{"port": "redis"}]},
                {"ports": [{"port": 53, "protocol": "UDP"}]},
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]},
            ],
        }));
        for expected in [
            "    ip daddr 10.0.0.2 tcp dport 6379 return",
            "     udp dport 53 return",
            "    ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8 } return",
        ] {
            assert!(rules.contains(expected), "{rules}");
        }
    }
}
