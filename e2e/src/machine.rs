//! Nodes of the cluster, which are containers on this machine, taken away for a while.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// A node whose processes stand still until this is dropped.
pub struct Paused(String);

impl Paused {
    /// Stops all processes of a node.
    pub fn begin(node: &str) -> anyhow::Result<Self> {
        docker(&["pause", node], "")?;
        Ok(Self(node.to_owned()))
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // Whoever waits for the node tells that it has not come back.
        let _ = docker(&["unpause", &self.0], "");
    }
}

/// Rules on what a node forwards, takes in and sends, before and after all others, until this is dropped.
pub struct Rules {
    node: String,
    table: &'static str,
}

impl Rules {
    /// Lays them on a node, as the one table of this name there.
    pub fn begin(node: &str, table: &'static str, chains: &str) -> anyhow::Result<Self> {
        // Guarded from the moment before it exists: a rule set that is half there is removed as well.
        let rules = Self {
            node: node.to_owned(),
            table,
        };
        docker(
            &["exec", "--interactive", node, "nft", "--file", "-"],
            &format!("table inet {table} {{\n{chains}\n}}\n"),
        )?;
        Ok(rules)
    }

    /// A node that reaches only this machine, and is reached by it alone: what its pods and its own processes send to other
    /// nodes is dropped, and what these send to them.
    pub fn cut_off(node: &str) -> anyhow::Result<Self> {
        let machine = address_of_machine(node)?;
        Self::begin(
            node,
            "e2e_cut_off",
            &format!(
                "chain in {{ type filter hook prerouting priority -400; iifname \"eth0\" ip saddr != {machine} drop; }}\n\
                 chain out {{ type filter hook postrouting priority 400; oifname \"eth0\" ip daddr != {machine} drop; }}"
            ),
        )
    }

    /// A pod that no other pod reaches and that reaches none. Its node's kubelet and this machine do.
    pub fn isolated(node: &str, address: &str) -> anyhow::Result<Self> {
        let machine = address_of_machine(node)?;
        Self::forward(
            node,
            "e2e_isolation",
            &format!(
                "ip saddr {address} ip daddr != {machine} drop; ip daddr {address} ip saddr != {machine} drop;"
            ),
        )
    }

    /// Rules on what a node forwards from and to its pods.
    pub fn forward(node: &str, table: &'static str, rules: &str) -> anyhow::Result<Self> {
        let chain =
            format!("chain forwarded {{ type filter hook forward priority -400; {rules} }}");
        Self::begin(node, table, &chain)
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        // Whoever waits for what was cut off tells that it has not come back.
        let delete = ["nft", "delete", "table", "inet", self.table];
        let _ = docker(&[&["exec", self.node.as_str()], &delete[..]].concat(), "");
    }
}

/// This machine's address, as a node's pods see it.
fn address_of_machine(node: &str) -> anyhow::Result<String> {
    let script = "ip -4 route show default";
    let route = docker(&["exec", node, "sh", "-euc", script], "")?;
    let mut words = route.split_whitespace().skip_while(|word| *word != "via");
    let machine = words.nth(1).context("the node has no default route")?;
    Ok(machine.to_owned())
}

/// Runs Docker's client with this input, and returns what it prints.
pub fn docker(arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut process = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("docker")?;
    let mut stdin = process.stdin.take().context("docker has no input")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = process.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "docker {arguments:?}: {}",
        errors.trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}
