//! The benchmark that comes with the engine.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use crate::place::{HOST, Place};
use crate::work::{FIRST_ID_OF_ENGINE, KEYSPACE, VALUES};

/// Calls of one run: about a second.
const CALLS: u32 = 30_000;

/// `redis-benchmark`, or that of Valkey.
#[derive(Clone, Debug)]
pub struct EngineBenchmark {
    /// What runs it, to which its arguments are added.
    words: Vec<String>,
    port: u16,
    ca: PathBuf,
}

impl EngineBenchmark {
    /// By these words.
    pub fn new(place: &Place, words: &[String]) -> Self {
        Self {
            words: words.to_vec(),
            port: place.tls_port(),
            ca: place.ca().to_owned(),
        }
    }

    /// Calls a second where so many of a hundred are writes of so many bytes: each kind is played by itself, for it knows no mix.
    pub async fn mixed(&self, at_once: usize, writes: u8, bytes: usize) -> anyhow::Result<f64> {
        let key = format!(
            "{KEYSPACE}:{}__rand_int__",
            FIRST_ID_OF_ENGINE / 1_000_000_000_000
        );
        let gets = self.rate(at_once, &["GET", &key]).await?;
        let sets = self
            .rate(at_once, &["SET", &key, &"x".repeat(bytes)])
            .await?;
        Ok(mix(gets, sets, writes))
    }

    async fn rate(&self, at_once: usize, command: &[&str]) -> anyhow::Result<f64> {
        let (program, words) = self
            .words
            .split_first()
            .context("nobody said how to run the engine's benchmark")?;
        let mut run = Command::new(program);
        run.args(words)
            .args([
                "-h",
                HOST,
                "-p",
                &self.port.to_string(),
                "--tls",
                "--cacert",
            ])
            .arg(&self.ca)
            .args(["-c", &at_once.to_string(), "-n", &CALLS.to_string()])
            .args(["-r", &VALUES.to_string(), "--csv"])
            .args(command)
            .stdin(Stdio::null());
        let output = run.output().await?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "the engine's benchmark failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        of_csv(&printed)
    }
}

/// Calls a second of a mix in which so many of a hundred are writes.
fn mix(gets: f64, sets: f64, writes: u8) -> f64 {
    let writes = f64::from(writes) / 100.0;
    1.0 / ((1.0 - writes) / gets + writes / sets)
}

/// The calls a second in `"name","calls a second",…`; the name is of the command, and may hold commas.
fn of_csv(printed: &str) -> anyhow::Result<f64> {
    let line = printed.lines().rfind(|line| !line.trim().is_empty());
    let rate = line
        .and_then(|line| line.split("\",\"").nth(1))
        .and_then(|cell| cell.trim_matches('"').parse().ok());
    match rate {
        Some(rate) if rate > 0.0 => Ok(rate),
        _ => bail!("the engine's benchmark printed no figure: {printed}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn its_figure_is_the_second_cell() {
        let printed = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET agent:2__rand_int__ a,b\",\"41322.31\",\"0.612\"\n";
        assert!((of_csv(printed).unwrap() - 41322.31).abs() < 1e-6);
        assert!(of_csv("").is_err());
        assert!(of_csv("\"test\",\"rps\"\n").is_err());
        assert!(of_csv("\"GET k\",\"0.00\"\n").is_err());
    }

    #[test]
    fn in_a_mix_the_slower_kind_counts_by_its_time() {
        assert!((mix(100.0, 50.0, 0) - 100.0).abs() < 1e-9);
        assert!((mix(100.0, 50.0, 100) - 50.0).abs() < 1e-9);
        // 8 gets and 2 sets take 80 + 40 ms.
        assert!((mix(100.0, 50.0, 20) - 1000.0 / 12.0).abs() < 1e-9);
    }
}
