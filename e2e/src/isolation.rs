//! Pods that no other pod reaches for a while. The cluster's nodes are containers on this machine.

use crate::machine::docker;

/// The rules on the pod's node. Replaced as a whole each time.
const TABLE: &str = "e2e_isolation";

/// A pod that reaches nobody and that nobody reaches but its node's kubelet, until this is dropped.
pub struct Isolated {
    node: String,
}

impl Isolated {
    /// Drops what the node forwards from and to the address of a pod.
    pub fn begin(node: &str, address: &str) -> anyhow::Result<Self> {
        // Guarded from the moment before it exists: a rule set that is half there is removed as well.
        let isolated = Self {
            node: node.to_owned(),
        };
        docker(
            &["exec", "--interactive", node, "nft", "--file", "-"],
            &rules(address),
        )?;
        Ok(isolated)
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        // Whoever waits for the pod tells that it has not come back.
        let _ = docker(
            &["exec", &self.node, "nft", "delete", "table", "inet", TABLE],
            "",
        );
    }
}

fn rules(address: &str) -> String {
    format!(
        "table inet {TABLE} {{\n\
         chain forwarded {{ type filter hook forward priority -400; ip saddr {address} drop; ip daddr {address} drop; }}\n\
         }}\n"
    )
}
