//! Keys of the event bus. All of them are below the prefix `events:<channel>:`.

/// List of a channel's newest events.
#[must_use]
pub fn history(channel: &str) -> String {
    format!("events:{channel}:history")
}

/// Stream that keeps a durable channel's events until every subscriber has acknowledged them.
#[must_use]
pub fn stream(channel: &str) -> String {
    format!("events:{channel}:stream")
}

/// Stream of a channel's events that a service could not handle.
#[must_use]
pub fn dead_letters(channel: &str, service: &str) -> String {
    format!("events:{channel}:dead:{service}")
}

/// Hash of how many events were dropped from a channel's stream before each consumer group had acknowledged them.
#[must_use]
pub fn lost(channel: &str) -> String {
    format!("events:{channel}:lost")
}
