//! How a client behaves; what it may do is the contract's.

use std::time::Duration;

/// How a client behaves.
///
/// A call takes at most `deadline` and, where the last attempt begins just before it, one `connect_timeout` and one
/// `command_timeout` more. A read of the cache that falls back to a loader makes attempts for one `command_timeout` alone.
///
/// ```
/// use std::time::Duration;
///
/// let mut settings = cachebus::Settings::from_environment();
/// settings.deadline = Duration::from_secs(2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// For TCP and TLS, and again for the login. Default 0.5 s.
    pub connect_timeout: Duration,
    /// For an answer of the server, where the call may be repeated. Default 0.5 s.
    pub command_timeout: Duration,
    /// For a call with all its repetitions, and for the answer of one that may not be repeated. Default 5 s.
    pub deadline: Duration,
    /// Connections that all calls share: each carries any number of calls at the same time. Default 2.
    pub connections: usize,
    /// Connections on which durable events wait for their copies (`durability: Quorum`), one after the other on each. Default 4.
    pub confirming_connections: usize,
    /// Between two looks at the binding's files. Default 1 s.
    pub reload_every: Duration,
    /// `false`: nothing is read from or written to the cache; deletions are still sent, for others use it. Default `true`.
    pub use_cache: bool,
    /// After this many failures in a row the cache is left alone for `breaker_pause`. Default 3.
    pub breaker_failures: u32,
    /// How long the cache is left alone; then one call tries. Default 1 s.
    pub breaker_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(500),
            command_timeout: Duration::from_millis(500),
            deadline: Duration::from_secs(5),
            connections: 2,
            confirming_connections: 4,
            reload_every: Duration::from_secs(1),
            use_cache: true,
            breaker_failures: 3,
            breaker_pause: Duration::from_secs(1),
        }
    }
}

impl Settings {
    /// The defaults, and the variable `USE_CACHE`: `false`, `0`, `no` and `off` leave the cache out.
    pub fn from_environment() -> Self {
        Self {
            use_cache: uses_cache(std::env::var("USE_CACHE").ok().as_deref()),
            ..Self::default()
        }
    }
}

fn uses_cache(variable: Option<&str>) -> bool {
    let word = variable.unwrap_or_default().trim().to_ascii_lowercase();
    !["false", "0", "no", "off"].contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_used_unless_a_word_says_no() {
        for word in [None, Some(""), Some("true"), Some("1"), Some("on")] {
            assert!(uses_cache(word), "{word:?}");
        }
        for word in ["false", "False", " 0 ", "no", "OFF"] {
            assert!(!uses_cache(Some(word)), "{word}");
        }
    }
}
