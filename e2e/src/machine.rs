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

/// A node that reaches only this machine, and is reached by it alone, until this is dropped.
pub struct CutOff(String);

/// Where the node's packets come in and go out, before and after all other rules. Replaced as a whole each time.
const TABLE: &str = "e2e_cut_off";

impl CutOff {
    /// Drops what a node's pods and its own processes send to other nodes, and what these send to them.
    pub fn begin(node: &str) -> anyhow::Result<Self> {
        let script = "ip -4 route show default";
        let route = docker(&["exec", node, "sh", "-euc", script], "")?;
        let mut words = route.split_whitespace().skip_while(|word| *word != "via");
        let machine = words.nth(1).context("the node has no default route")?;
        // Guarded from the moment before it exists: a rule set that is half there is removed as well.
        let cut_off = Self(node.to_owned());
        docker(
            &["exec", "--interactive", node, "nft", "--file", "-"],
            &rules(machine),
        )?;
        Ok(cut_off)
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        let _ = docker(
            &["exec", &self.0, "nft", "delete", "table", "inet", TABLE],
            "",
        );
    }
}

fn rules(machine: &str) -> String {
    format!(
        "table inet {TABLE} {{\n\
         chain in {{ type filter hook prerouting priority -400; iifname \"eth0\" ip saddr != {machine} drop; }}\n\
         chain out {{ type filter hook postrouting priority 400; oifname \"eth0\" ip daddr != {machine} drop; }}\n\
         }}\n"
    )
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
