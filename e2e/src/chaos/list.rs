//! Faults of the catalogue one after another: `cachebus-e2e faults`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::row::table;
use super::{Fault, Row, all, run};
use crate::bus::Bus;
use crate::diagnose;
use crate::lab::Lab;
use crate::run::print;

/// Where the table of `docs/failure-modes.md` begins and ends.
const BEGINS: &str = "<!-- measured -->\n";
const ENDS: &str = "<!-- end -->";

/// Which faults, and what is done with what they did.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only these, by name.
    #[arg(long, value_delimiter = ',', value_name = "FAULT")]
    only: Vec<String>,
    /// Prints them and does none.
    #[arg(long)]
    pub list: bool,
    /// Draws what a fault leaves to chance, as a run before it did that printed this seed.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Adds the rows to those of this file, as JSON, in place of earlier ones of the same faults.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Writes the table of the file's rows into this document.
    #[arg(long, value_name = "FILE", requires = "rows")]
    document: Option<PathBuf>,
}

impl Options {
    /// The faults that the command line asks for.
    pub fn selected(&self) -> anyhow::Result<Vec<&'static Fault>> {
        let all = all();
        for name in &self.only {
            ensure!(
                all.iter().any(|fault| fault.name == name),
                "there is no fault {name}; `faults --list` names them"
            );
        }
        let wanted = |fault: &&'static Fault| {
            self.only.is_empty() || self.only.iter().any(|name| name == fault.name)
        };
        Ok(all.into_iter().filter(wanted).collect())
    }
}

/// Prints each fault and what happens.
pub fn show(faults: &[&Fault]) {
    for fault in faults {
        print(format_args!("{:<30} {}", fault.name, fault.how));
    }
}

/// Does what the command line asks for. Whether every promise was kept.
pub async fn main(lab: &Lab, options: &Options) -> anyhow::Result<bool> {
    let lab = lab.of("faults");
    let selected = options.selected()?;
    let keep = |row: &Row| keep(options, row);
    let result = Box::pin(each(&lab, &selected, options.seed, keep)).await;
    lab.clean_up().await?;
    Ok(result?.is_empty())
}

/// Has each fault befall a bus. Returns what was broken. A bus that does not get well again is left for a new one.
pub async fn each(
    lab: &Lab,
    faults: &[&'static Fault],
    seed: u64,
    mut keep: impl FnMut(&Row) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    let mut broken = Vec::new();
    let mut bus: Option<Bus> = None;
    for (number, fault) in faults.iter().enumerate() {
        let well = match bus.take() {
            Some(well) => well,
            None => run::fresh_bus(lab).await?,
        };
        match run::one(lab, &well, &[fault], number, seed).await {
            Ok(row) => {
                lab.note(&row);
                broken.extend(
                    row.broken
                        .iter()
                        .map(|what| format!("{}: {what}", row.fault)),
                );
                keep(&row)?;
                bus = Some(well);
            }
            Err(error) => {
                lab.note(format_args!("{}: FAILED: {error:#}", fault.name));
                broken.push(format!("{}: {error:#}", fault.name));
                diagnose::dump(lab).await;
            }
        }
    }
    Ok(broken)
}

/// Adds a row to the file, and writes the document anew.
fn keep(options: &Options, row: &Row) -> anyhow::Result<()> {
    let Some(file) = &options.rows else {
        return Ok(());
    };
    let mut rows = if file.exists() {
        read(file)?
    } else {
        Vec::new()
    };
    rows.retain(|other| other.fault != row.fault);
    rows.push(row.clone());
    let order = |row: &Row| all().iter().position(|fault| fault.name == row.fault);
    rows.sort_by_key(order);
    std::fs::write(file, serde_json::to_string_pretty(&rows)? + "\n")?;
    let Some(document) = &options.document else {
        return Ok(());
    };
    let text = std::fs::read_to_string(document)?;
    let text = with_table(&text, &rows).context("the document has no place for the table")?;
    Ok(std::fs::write(document, text)?)
}

/// Faults in which, as measured, every promise was kept.
pub fn survived() -> anyhow::Result<BTreeSet<String>> {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../../measured/faults.json"))?;
    let kept = rows.into_iter().filter(|row| row.broken.is_empty());
    Ok(kept.map(|row| row.fault).collect())
}

fn read(file: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(file)?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

fn with_table(text: &str, rows: &[Row]) -> Option<String> {
    let (before, rest) = text.split_once(BEGINS)?;
    let (_, after) = rest.split_once(ENDS)?;
    Some(format!("{before}{BEGINS}{}{ENDS}{after}", table(rows)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_document_has_the_rows_that_were_measured() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let rows = read(&root.join("measured/faults.json")).unwrap();
        assert!(!rows.is_empty());
        for row in &rows {
            assert!(all().iter().any(|fault| fault.name == row.fault), "{row}");
        }
        let text = std::fs::read_to_string(root.join("../docs/failure-modes.md")).unwrap();
        assert_eq!(with_table(&text, &rows).unwrap(), text);
    }
}
