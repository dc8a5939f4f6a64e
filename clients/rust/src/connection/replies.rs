//! What a server's answers mean to the caller.

use redis::{FromRedisValue, Value, from_redis_value};

use crate::error::{Error, Result};

/// The server did nothing, and another, or the same a moment later, may. `UNBLOCKED` ends a wait: the server is no primary any more, or
/// the stream was deleted.
const REFUSALS: [&str; 8] = [
    "NOREPLICAS",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "LOADING",
    "READONLY",
    "MISCONF",
    "UNBLOCKED",
];

/// The reply, or the typed error for the one that the server has answered `command` with.
pub(crate) fn checked(command: &str, reply: Value) -> Result<Value> {
    match reply {
        Value::ServerError(error) => Err(translated(
            command,
            error.code(),
            error.details().unwrap_or_default(),
        )),
        reply => Ok(reply),
    }
}

/// The reply as a value of its own type.
pub(crate) fn parsed<T: FromRedisValue>(command: &str, reply: Value) -> Result<T> {
    from_redis_value(reply).map_err(|_| unexpected(command))
}

/// A reply of another form than the command's.
pub(crate) fn unexpected(command: &str) -> Error {
    Error::Server {
        command: command.to_owned(),
        code: "UNEXPECTED".to_owned(),
    }
}

pub(crate) fn translated(command: &str, code: &str, details: &str) -> Error {
    let (code, details) = innermost(code, details);
    let named = command.to_owned();
    match code {
        "CBDENIED" | "NOPERM" => Error::Denied { command: named },
        "WRONGPASS" | "NOAUTH" => Error::AuthenticationFailed(format!(
            "{command}: the server does not take the credentials"
        )),
        "OOM" => Error::MemoryFull { command: named },
        "NOGROUP" => Error::GroupMissing { command: named },
        code if REFUSALS.contains(&code) => Error::Refused(format!(
            "{command}: the server takes no such call at the moment"
        )),
        _ if details.contains("Function not found") => Error::FunctionsMissing { command: named },
        code => Error::Server {
            command: named,
            code: stable(code),
        },
    }
}

/// A transaction that is refused as a whole tells why in its text.
fn innermost<'a>(code: &'a str, details: &'a str) -> (&'a str, &'a str) {
    let reason = details.split_once("because of: ");
    match reason {
        Some((_, reason)) if code == "EXECABORT" => reason.split_once(' ').unwrap_or((reason, "")),
        _ => (code, details),
    }
}

/// Codes are words in capitals; what else begins an error is text, which may quote arguments.
fn stable(code: &str) -> String {
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code { code } else { "ERR" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn codes_become_kinds() {
        for (code, details, kind, retryable) in [
            ("READONLY", "You can't write", ErrorKind::Refused, true),
            ("UNBLOCKED", "force unblock", ErrorKind::Refused, true),
            (
                "EXECABORT",
                "Transaction discarded because of: READONLY You can't write",
                ErrorKind::Refused,
                true,
            ),
            (
                "EXECABORT",
                "Transaction discarded because of previous errors.",
                ErrorKind::ServerError,
                false,
            ),
            ("NOPERM", "no permissions", ErrorKind::Denied, false),
            ("CBDENIED", "xadd events:x", ErrorKind::Denied, false),
            ("OOM", "command not allowed", ErrorKind::MemoryFull, true),
            (
                "ERR",
                "Function not found",
                ErrorKind::FunctionsMissing,
                true,
            ),
            ("NOGROUP", "No such key", ErrorKind::GroupMissing, true),
            ("NOAUTH", "", ErrorKind::AuthenticationFailed, true),
            ("CBINVALID", "envelope", ErrorKind::ServerError, false),
        ] {
            let error = translated("FCALL", code, details);
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable));
            assert!(details.is_empty() || !error.to_string().contains(details));
        }
    }

    #[test]
    fn text_is_no_code() {
        let error = translated("GET", "hunter2", "");
        assert_eq!(error.to_string(), "GET: ERR");
    }
}
