//! What became of an event.

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was emitted now.
    Emitted,
    /// Its id was emitted before, perhaps by an earlier attempt of this very call.
    Duplicate,
    /// The contract's `events.enabled` is off: nothing was sent.
    Disabled,
}

/// The outcome of [`EventBus::emit`](super::EventBus::emit).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Emitted {
    /// What became of the event.
    pub outcome: Outcome,
    /// The event.
    pub event_id: String,
    /// Where a durable event is that was emitted now.
    pub stream_id: Option<String>,
    /// Subscribers that listened at this moment.
    pub receivers: u64,
    /// Cache keys that were removed in the same step.
    pub removed: u64,
}
