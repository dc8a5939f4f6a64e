//! What the client libraries cost, beside what people would take instead: `cargo xtask bench clients`.

mod report;
mod server;

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::command::Cmd;
use crate::image::{self, Profile};
use crate::lab::{ENGINES, EngineImage, Lab};
use crate::pip;
use crate::progress::{note, step};
use crate::workspace;

use report::Report;
use server::Server;

const PACKAGE: &str = "cachebus-bench";
/// Measures time.
const TIMES: &str = "cachebus-bench";
/// Counts allocations.
const MEMORY: &str = "cachebus-bench-memory";
/// Serves the bus.
const DEV: &str = "cachebus";

/// The bus, seen from the workspace.
const BUS: &str = "clients/bench.yaml";
const PYTHON_CLIENT: &str = "clients/python";
/// Names exact versions of what is compared there.
const REQUIREMENTS: &str = "bench-requirements.txt";

/// What to measure, and how to say it.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Engine of the server.
    #[arg(long, default_value = "redis-8.0", value_parser = engine)]
    engine: &'static EngineImage,
    /// Only the client of this language.
    #[arg(long)]
    only: Option<Language>,
    /// Rounds of each comparison, in which all that are compared take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How the result is printed.
    #[arg(long, default_value = "markdown")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    Rust,
    Python,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table, one line for each way of doing something.
    Markdown,
    /// All figures, as one line of JSON.
    Json,
}

fn engine(key: &str) -> Result<&'static EngineImage, String> {
    let known = || ENGINES.iter();
    known().find(|engine| engine.key == key).ok_or_else(|| {
        let keys: Vec<&str> = known().map(|engine| engine.key).collect();
        format!("there are {}", keys.join(", "))
    })
}

/// Measures, and prints all figures side by side. What is aimed at and missed is said, and is no failure: it may be the machine's.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let lab = Lab::open(None)?;
    lab.build()?;
    let built = step("building what is measured", || {
        image::programs(PACKAGE, &[TIMES, MEMORY], Profile::Service)
    })?;
    let dev = step("building what serves the bus", || {
        image::programs("cachebus-dev", &[DEV], Profile::Lab)
    })?;
    let client = workspace::root().join(PYTHON_CLIENT);
    let python = if options.only == Some(Language::Rust) {
        None
    } else {
        let python = pip::kept(&client.join(REQUIREMENTS), "the measurements in Python")?;
        if python.is_none() {
            note("   its packages cannot be fetched from here: Python is not measured");
        }
        python
    };
    let certificates = lab.home().scratch("bench-certificates")?;
    Cmd::new(built.join(TIMES))
        .arg("certificates")
        .arg(certificates.path())
        .run()?;
    let server = Server::start(&lab, options.engine, certificates.path())?;
    let bench = Bench {
        server: &server,
        dev: &dev.join(DEV),
        rounds: options.rounds,
    };
    let mut report = Report::default();
    let measured = bench.measure(options, &built, python.as_deref(), &mut report);
    // What was measured before something failed is worth having.
    print(options, &report, &server.release(options.engine)?)?;
    measured
}

/// How a program is run on the bus.
struct Bench<'a> {
    server: &'a Server,
    dev: &'a Path,
    rounds: u16,
}

impl Bench<'_> {
    fn measure(
        &self,
        options: &Options,
        built: &Path,
        python: Option<&Path>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let rounds = ["--rounds".to_owned(), self.rounds.to_string()];
        if options.only != Some(Language::Python) {
            let times = step("measuring the time of calls in Rust", || {
                let engines = self.server.own_benchmark(options.engine);
                self.played(&built.join(TIMES), &["times"], |program| {
                    program.args(&rounds).arg("--").args(engines)
                })
            })?;
            report.figures.extend(times.figures);
            let memory = step("counting allocations in Rust", || {
                self.played(&built.join(MEMORY), &[], |program| program)
            })?;
            report.figures.extend(memory.figures);
        }
        if let Some(python) = python {
            let module = ["-B", "-m", "bench"];
            let measured = step("measuring in Python", || {
                self.played(python, &module, |program| program.args(&rounds))
            })?;
            report.figures.extend(measured.figures);
        }
        Ok(())
    }

    /// What a program prints that has the bus as long as it runs. After `words` it is told where that is.
    fn played(
        &self,
        program: &Path,
        words: &[&str],
        more: impl FnOnce(Cmd) -> Cmd,
    ) -> anyhow::Result<Report> {
        let Server {
            port, tls_port, ca, ..
        } = self.server;
        let played = Cmd::new(self.dev)
            .args(["dev", "--file"])
            .arg(workspace::root().join(BUS))
            .args(["--connect", &self.server.url(), "--"])
            .arg(program)
            .args(words)
            .args(["--port", &port.to_string()])
            .args(["--tls-port", &tls_port.to_string(), "--ca"])
            .arg(ca)
            .dir(&workspace::root().join(PYTHON_CLIENT))
            .env("PYTHONPATH", "src");
        let printed = more(played).output()?;
        // Whatever was said before, the report is the last line.
        let last = printed.lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .with_context(|| format!("{} printed no figures", program.display()))
    }
}

fn print(options: &Options, report: &Report, release: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match options.format {
        Format::Json => {
            let report = serde_json::json!({"engine": release, "figures": report.figures});
            writeln!(stdout, "{report}")?;
        }
        Format::Markdown => {
            writeln!(stdout, "{release}, TLS, rounds: {}\n", options.rounds)?;
            write!(stdout, "{}", report.markdown())?;
        }
    }
    for missed in report.missed() {
        note(format_args!("missed: {missed}"));
    }
    Ok(())
}
