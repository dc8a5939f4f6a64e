//! The project's own commands: `cargo xtask --help`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::bench;
use xtask::demo;
use xtask::example;
use xtask::image::Profile;
use xtask::lab::{self, Lab, Source};
use xtask::progress::note;
use xtask::test;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// A real cluster on this machine.
    #[command(subcommand)]
    Lab(LabTask),
    /// Builds the project's images and loads them into the cluster.
    Image {
        /// Builds the operator's alone, as it ships, under this name, to be pushed to a registry.
        #[arg(long, value_name = "NAME")]
        release: Option<String>,
    },
    /// Brings up the cluster and installs the operator, built from the source as it is.
    Install,
    /// Shows the whole: a cluster, the operator, a bus, two services that use it, and a tour.
    Demo {
        /// Removes it all again.
        #[arg(long)]
        remove: bool,
    },
    /// Applies the worked example, `examples/services`, where the demo has made the bus, and plays its load with and without.
    Example,
    /// Everything that has to hold before a change is kept.
    Test(test::Options),
    /// Measures the source as it is.
    #[command(subcommand)]
    Bench(BenchTask),
    /// Has each fault of the catalogue befall a bus under load; `--help` tells the options.
    #[command(disable_help_flag = true)]
    Faults {
        /// Those of `cachebus-e2e faults`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Has faults by chance befall a bus under load, for 20 minutes; `--help` tells the options.
    #[command(disable_help_flag = true)]
    Soak {
        /// Those of `cachebus-e2e soak`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Writes the files that are made from the source.
    Generate {
        /// Only compares, and fails when one differs.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, Subcommand)]
enum BenchTask {
    /// What the client libraries cost, beside what people would take instead, on a server on this machine.
    Clients(bench::Options),
    /// What failovers and planned changes of the primary cost clients, on a real cluster; `--help` tells the options.
    #[command(disable_help_flag = true)]
    Failover {
        /// Those of `cachebus-e2e bench failover`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum LabTask {
    /// Brings the cluster up; does nothing when it is up.
    Up {
        /// Where nodes and engines come from; by default the registry when it answers.
        #[arg(long)]
        source: Option<Source>,
    },
    /// Deletes the cluster; what was built stays.
    Down,
    /// Builds or pulls everything a cluster needs.
    Build {
        /// Where nodes and engines come from; by default the registry when it answers.
        #[arg(long)]
        source: Option<Source>,
    },
    /// Copies local images into the cluster's nodes.
    Load {
        /// Their names.
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Enforces network policies on nodes that were built here; their network does not.
    Policies {
        /// What to do with them.
        mode: PolicyMode,
    },
    /// Prints what there is.
    Status,
    /// Prints the folder with kind, kubectl and helm.
    Path,
    /// Prints what a shell has to evaluate to use them on the cluster.
    Env,
    /// Stops the Docker Engine, if the lab started it.
    StopEngine,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PolicyMode {
    /// Enforces them as they are now.
    Enforce,
    /// Enforces them as they change, until stopped.
    Follow,
    /// Lets everything through again.
    Ignore,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well; an error is a task that could not be carried out.
fn run(task: Task) -> anyhow::Result<bool> {
    match task {
        Task::Test(options) => return test::run(&options),
        Task::Lab(task) => lab_task(task)?,
        Task::Image { release: None } => {
            xtask::image::build_and_load(&Lab::open(None)?, Profile::Lab)?;
        }
        Task::Image {
            release: Some(name),
        } => xtask::image::build_release(Lab::open(None)?.home(), &name)?,
        Task::Install => {
            let lab = Lab::open(None)?;
            lab.up()?;
            xtask::image::build_and_load(&lab, Profile::Lab)?;
            xtask::install::install(&lab)?;
        }
        Task::Demo { remove: false } => demo::run()?,
        Task::Demo { remove: true } => demo::remove()?,
        Task::Example => example::run()?,
        Task::Bench(BenchTask::Clients(options)) => bench::run(&options)?,
        Task::Bench(BenchTask::Failover { options }) => {
            on_cluster(&["bench", "failover"], options)?;
        }
        Task::Faults { options } => on_cluster(&["faults"], options)?,
        Task::Soak { options } => on_cluster(&["soak"], options)?,
        Task::Generate { check } => test::generate(check)?,
    }
    Ok(true)
}

/// What the program on the cluster does with these words and options.
fn on_cluster(words: &[&str], options: Vec<String>) -> anyhow::Result<()> {
    let program = xtask::cluster_program::prepared(Profile::Release)?;
    program.args(words).args(options).stream()
}

fn lab_task(task: LabTask) -> anyhow::Result<()> {
    match task {
        LabTask::Up { source } => Lab::open(source)?.up(),
        LabTask::Build { source } => Lab::open(source)?.build(),
        LabTask::Down => Lab::open(None)?.down(),
        LabTask::Load { images } => {
            let names: Vec<&str> = images.iter().map(String::as_str).collect();
            Lab::open(None)?.load(&names)
        }
        LabTask::Policies { mode } => {
            let lab = Lab::open(None)?;
            match mode {
                PolicyMode::Enforce => lab.enforce_policies(),
                PolicyMode::Follow => lab.follow_policies(),
                PolicyMode::Ignore => lab.ignore_policies(),
            }
        }
        LabTask::Status => Lab::open(None)?.status(),
        LabTask::Path => print(&lab::bin()?.display().to_string()),
        LabTask::Env => print(&lab::shell_exports()?),
        LabTask::StopEngine => lab::stop_engine(),
    }
}

fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
