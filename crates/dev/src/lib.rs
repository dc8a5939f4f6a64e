//! A `CacheBus` on a developer's machine, without a cluster: `cachebus dev`.
//!
//! The file that a cluster gets is read by the operator's own code, and one server is made what the pods of the bus would be for
//! a service: the same users and rights, the same function library, the same contract in the same binding. What keeps a bus alive
//! (replicas, Sentinels, agents, certificates) is not there.

mod alone;
mod command;
mod error;
mod given;
mod manifest;
mod options;
mod program;
mod report;
mod schema;
mod session;
mod signals;
mod state;
mod watch;

pub use error::DevError;
pub use options::Options;

use cachebus_core::bus::Bus;
use clap::Parser as _;
use options::{Cli, Task};
use session::Session;
use signals::Signals;
use state::State;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use watch::Watch;

/// Between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// The program: reads its arguments, does what they ask for and gives its exit code. What is wrong is on standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let Task::Dev(options) = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command,
        Err(said) => {
            // There is nowhere else to say it.
            let _ = said.print();
            return u8::try_from(said.exit_code()).unwrap_or(2);
        }
    };
    // One thread is plenty for work that mostly waits.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(&options)),
        Err(error) => Err(error.into()),
    };
    ended.unwrap_or_else(|error| {
        warn(&error);
        error.exit_code()
    })
}

/// Serves the bus of a file until it is ended or, with a command, until that has ended; the exit code.
pub async fn run(options: &Options) -> Result<u8, DevError> {
    // Before the file is read: what changes meanwhile is a change.
    let mut watch = Watch::new(&options.file);
    let bus = manifest::read(&options.file)?;
    let service = service(options, &bus)?;
    let mut signals = Signals::new()?;
    let state = if options.command.is_empty() {
        State::open(&options.dir)?
    } else {
        State::temporary()?
    };
    let mut session = tokio::select! {
        session = Session::open(options, state, &bus) => session?,
        _ = signals.next() => return Ok(INTERRUPTED),
    };
    let Some((program, arguments)) = options.command.split_first() else {
        let served = serve(options, &bus, &mut watch, &mut session, &mut signals).await;
        let closed = session.close().await;
        return served.and(closed).map(|()| 0);
    };
    let service = service.as_deref();
    let ran = with_command(program, arguments, service, &mut session, &mut signals).await;
    let removed = session.remove().await;
    // How the command ended says more than what was left behind.
    let code = ran?;
    if let Err(error) = removed {
        warn(&error);
    }
    Ok(code)
}

/// The service as which a command runs.
fn service(options: &Options, bus: &Bus) -> Result<Option<String>, DevError> {
    let known = || bus.spec.services.iter().map(|service| service.name.clone());
    match &options.service {
        Some(service) if known().any(|name| name == *service) => Ok(Some(service.clone())),
        Some(service) => Err(DevError::ServiceUnknown {
            service: service.clone(),
            known: known().collect(),
        }),
        None => Ok(known().next().filter(|_| known().count() == 1)),
    }
}

/// Serves, and follows the file, until it is ended.
async fn serve(
    options: &Options,
    bus: &Bus,
    watch: &mut Watch,
    session: &mut Session,
    signals: &mut Signals,
) -> Result<(), DevError> {
    let place = session.place();
    let differs = session.differs_from(bus);
    let bindings = session.state().bindings();
    report::ready(
        &mut io::stdout().lock(),
        bus,
        &place,
        differs.as_deref(),
        &bindings,
        options.show,
    )?;
    let mut bus = bus.clone();
    // A server that is away is told of once.
    let mut away = false;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = signals.next() => return Ok(()),
            error = session.ended() => return Err(error),
            _ = ticks.tick() => {}
        }
        let changed = watch.has_changed();
        if changed {
            match manifest::read(&options.file) {
                Ok(read) => bus = read,
                Err(error) => {
                    warn(&error);
                    note("the bus stays as it was")?;
                    continue;
                }
            }
        }
        if !changed && !session.is_closed() {
            continue;
        }
        match session.apply(&bus).await {
            Ok(applied) => {
                away = false;
                if changed || applied != session::Applied::default() {
                    report::applied(&mut io::stdout().lock(), &options.file, &applied)?;
                }
            }
            Err(error) => {
                if changed || !away {
                    warn(&error);
                }
                away = true;
            }
        }
    }
}

/// Runs the command; its exit code.
async fn with_command(
    program: &OsStr,
    arguments: &[OsString],
    service: Option<&str>,
    session: &mut Session,
    signals: &mut Signals,
) -> Result<u8, DevError> {
    let bindings = session.state().bindings();
    let mut child = command::start(program, arguments, &bindings, service)?;
    let mut serves = true;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(command::exit_code(status?)),
            sent = signals.next() => command::hand_on(&child, sent),
            // The command sees it by its own errors, and decides what they mean.
            error = session.ended(), if serves => {
                warn(&error);
                serves = false;
            }
        }
    }
}

fn warn(error: &DevError) {
    // There is nowhere else to say it.
    let _ = writeln!(io::stderr().lock(), "cachebus dev: {error}");
}

fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "cachebus dev: {text}")
}
