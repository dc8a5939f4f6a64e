//! PID 1 inherits every orphan of its container and must take note of their ends.

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;

/// Takes note of every ended child but `own`, whose end the supervisor awaits itself. Looks before it takes, so that the
/// supervisor's child is never taken by mistake; strangers behind it are taken at the next call.
pub fn strangers(own: Option<u32>) {
    let own = own
        .and_then(|pid| i32::try_from(pid).ok())
        .map(Pid::from_raw);
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        let ended = match waitid(Id::All, look) {
            Ok(status) => status.pid(),
            Err(Errno::EINTR) => continue,
            Err(_) => None,
        };
        match ended {
            Some(pid) if Some(pid) != own => {
                // It has ended, so this does not wait; should another have taken it meanwhile, so much the better.
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
            _ => return,
        }
    }
}

/// Whether this process is the one that inherits orphans.
pub(crate) fn is_init() -> bool {
    std::process::id() == 1
}
