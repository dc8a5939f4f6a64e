//! What `cargo xtask generate` runs: apart, so that the other commands work while the project's crates do not compile.

use clap::Parser;

#[derive(Debug, Parser)]
struct Cli {
    /// Only compares, and fails when a file differs.
    #[arg(long)]
    check: bool,
}

fn main() -> anyhow::Result<()> {
    xtask::generate::run(Cli::parse().check)
}
