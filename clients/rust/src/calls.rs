//! Calls of the function library. `functions/vectors/fcalls.json` holds examples.

use std::time::Duration;

use crate::command::Command;
use crate::contract::ChannelSpec;

/// Bytes of a call besides its keys and its longest argument, or a few more: name of the function, channel and numbers.
const SHORT: usize = 128;
/// Arguments of a call besides its keys, at most.
const ARGUMENTS: usize = 7;

/// `window`: how long the event's id is remembered; zero: not at all.
pub(crate) fn emit(spec: &ChannelSpec, envelope: &str, window: Duration) -> Command {
    let mut keys = Vec::new();
    if !window.is_zero() {
        keys.push(spec.ids_key());
    }
    if spec.history > 0 {
        keys.push(spec.history_key());
    }
    if spec.durable {
        keys.push(spec.stream_key());
    }
    event("cachebus_emit", &keys, spec, envelope, window)
}

/// Removes cache keys, at most 1,000, and emits.
pub(crate) fn invalidate(
    keys: &[String],
    spec: &ChannelSpec,
    envelope: &str,
    window: Duration,
) -> Command {
    event("cachebus_invalidate", keys, spec, envelope, window)
}

/// `epoch`: Sentinels' epoch of the primary; 0 where it is not known.
pub(crate) fn lock(key: &str, token: &str, ttl: Duration, epoch: u64) -> Command {
    let keys = [key.to_owned(), format!("{key}:fence")];
    function("cachebus_lock", &keys, token.len())
        .arg(token)
        .arg(ttl.as_millis())
        .arg(epoch)
}

pub(crate) fn extend(key: &str, token: &str, ttl: Duration) -> Command {
    function("cachebus_extend", &[key.to_owned()], token.len())
        .arg(token)
        .arg(ttl.as_millis())
}

pub(crate) fn unlock(key: &str, token: &str) -> Command {
    function("cachebus_unlock", &[key.to_owned()], token.len()).arg(token)
}

/// `bytes`: of its longest argument.
fn function(name: &str, keys: &[String], bytes: usize) -> Command {
    let bytes = keys.iter().map(String::len).sum::<usize>() + bytes + SHORT;
    Command::with_room("FCALL", keys.len() + ARGUMENTS, bytes)
        .arg(name)
        .arg(keys.len())
        .args(keys)
}

fn event(
    name: &str,
    keys: &[String],
    spec: &ChannelSpec,
    envelope: &str,
    window: Duration,
) -> Command {
    function(name, keys, envelope.len())
        .arg(&spec.channel)
        .arg(envelope)
        .arg(spec.history)
        .arg(u8::from(spec.durable))
        .arg(window.as_millis())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use redis::Arg;
    use serde::Deserialize;

    use super::*;

    const CALLS: &str = include_str!("../../../functions/vectors/fcalls.json");

    #[derive(Deserialize)]
    struct Vectors {
        calls: Vec<Call>,
    }

    #[derive(Deserialize)]
    struct Call {
        words: Vec<String>,
        #[serde(flatten)]
        call: Kind,
    }

    #[derive(Deserialize)]
    #[serde(tag = "call", rename_all = "lowercase")]
    enum Kind {
        Emit(Emission),
        Invalidate {
            keys: Vec<String>,
            #[serde(flatten)]
            emission: Emission,
        },
        Lock {
            key: String,
            token: String,
            ttl_ms: u64,
            epoch: u64,
        },
        Extend {
            key: String,
            token: String,
            ttl_ms: u64,
        },
        Unlock {
            key: String,
            token: String,
        },
    }

    #[derive(Deserialize)]
    struct Emission {
        channel: String,
        durable: bool,
        history: u32,
        window_ms: u64,
        envelope: String,
    }

    impl Emission {
        fn spec(&self) -> ChannelSpec {
            ChannelSpec::new(&*self.channel, self.durable, self.history, Duration::ZERO)
        }

        fn window(&self) -> Duration {
            Duration::from_millis(self.window_ms)
        }
    }

    fn made(call: &Kind) -> Command {
        match call {
            Kind::Emit(event) => emit(&event.spec(), &event.envelope, event.window()),
            Kind::Invalidate { keys, emission } => invalidate(
                keys,
                &emission.spec(),
                &emission.envelope,
                emission.window(),
            ),
            Kind::Lock {
                key,
                token,
                ttl_ms,
                epoch,
            } => lock(key, token, Duration::from_millis(*ttl_ms), *epoch),
            Kind::Extend { key, token, ttl_ms } => {
                extend(key, token, Duration::from_millis(*ttl_ms))
            }
            Kind::Unlock { key, token } => unlock(key, token),
        }
    }

    #[test]
    fn calls_are_those_of_every_client() {
        let vectors: Vectors = serde_json::from_str(CALLS).unwrap();
        assert!(!vectors.calls.is_empty());
        for Call { words, call } in vectors.calls {
            let command = made(&call);
            let sent = command.cmd().args_iter().map(|argument| match argument {
                Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                _ => panic!("an argument of no word"),
            });
            assert_eq!(sent.collect::<Vec<_>>(), words);
        }
    }
}
