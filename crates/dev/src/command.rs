//! A command that has a bus as long as it runs.

use crate::error::DevError;
use crate::signals::Sent;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use tokio::process::{Child, Command};

/// Folder of one binding.
const BINDING: &str = "CACHEBUS_BINDING";
/// Folder of all bindings, as servicebinding.io has it.
const ROOT: &str = "SERVICE_BINDING_ROOT";
/// Variables that say what a binding does, and the one that may hold an administrator's password. Those that were there before
/// are of another bus.
const FOREIGN: [&str; 13] = [
    BINDING,
    "CACHEBUS_CA_CRT",
    "CACHEBUS_CONTRACT_JSON",
    "CACHEBUS_DEV_CONNECT",
    "CACHEBUS_HOST",
    "CACHEBUS_MASTER_NAME",
    "CACHEBUS_PASSWORD",
    "CACHEBUS_PORT",
    "CACHEBUS_SENTINELS",
    "CACHEBUS_SENTINEL_PORT",
    "CACHEBUS_TLS",
    "CACHEBUS_URI",
    "CACHEBUS_USERNAME",
];
/// Exit code of a program that a signal ended, without the signal's number.
const SIGNALLED: i32 = 128;

/// Starts the command as a service: the named one, or the only one. With several and none named it is told where all bindings are.
pub(crate) fn start(
    program: &OsStr,
    arguments: &[OsString],
    bindings: &Path,
    service: Option<&str>,
) -> Result<Child, DevError> {
    let mut command = Command::new(program);
    command.args(arguments);
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.envs(variables(bindings, service));
    command.spawn().map_err(|source| DevError::Command {
        command: program.to_string_lossy().into_owned(),
        source,
    })
}

fn variables(bindings: &Path, service: Option<&str>) -> Vec<(&'static str, PathBuf)> {
    let one = service.map(|service| (BINDING, bindings.join(service)));
    [(ROOT, bindings.to_owned())]
        .into_iter()
        .chain(one)
        .collect()
}

/// Hands a signal on. What a terminal sends the command has got itself.
pub(crate) fn hand_on(child: &Child, sent: Sent) {
    if sent == Sent::Interrupt && std::io::stdin().is_terminal() {
        return;
    }
    let signal = match sent {
        Sent::Interrupt => Signal::SIGINT,
        Sent::Terminate => Signal::SIGTERM,
        Sent::HangUp => Signal::SIGHUP,
    };
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It fails where the command has ended already.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The exit code that shells give to how a command ended.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_command_ended_is_told_as_shells_tell_it() {
        for (raw, code) in [(0, 0), (3 << 8, 3), (255 << 8, 255), (15, 143), (9, 137)] {
            assert_eq!(exit_code(ExitStatus::from_raw(raw)), code);
        }
    }

    #[test]
    fn a_service_has_its_binding_and_others_beside_it() {
        let root = Path::new("/b");
        let all = (ROOT, PathBuf::from("/b"));
        let own = (BINDING, PathBuf::from("/b/a"));
        assert_eq!(variables(root, Some("a")), [all.clone(), own]);
        assert_eq!(variables(root, None), [all]);
    }
}
