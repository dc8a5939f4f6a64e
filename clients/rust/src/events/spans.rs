//! What tracing is told of events, under the names that OpenTelemetry has for messages.

use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use super::Emitted;
use crate::error::Result;
use crate::event::Event;

/// Emits an event, in a span of its own.
pub(super) async fn emitting(
    event: &Event,
    emit: impl Future<Output = Result<Emitted>>,
) -> Result<Emitted> {
    let span = info_span!(
        "emit",
        otel.name = format!("send {}", event.channel),
        otel.kind = "producer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = "redis",
        messaging.operation.type = "send",
        messaging.destination.name = event.channel,
        messaging.message.id = event.event_id,
        messaging.message.conversation_id = event.correlation_id,
    );
    let emitted = emit.instrument(span.clone()).await;
    if let Err(error) = &emitted {
        failed(&span, &error.kind().to_string());
    }
    emitted
}

/// An event is handled, once for each attempt.
pub(super) fn handling(event: &Event, group: &str) -> Span {
    info_span!(
        "handle",
        otel.name = format!("process {}", event.channel),
        otel.kind = "consumer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = "redis",
        messaging.operation.type = "process",
        messaging.destination.name = event.channel,
        messaging.consumer.group.name = group,
        messaging.message.id = event.event_id,
        messaging.message.conversation_id = event.correlation_id,
    )
}

/// It did not work; the kind of the failure.
pub(super) fn failed(span: &Span, kind: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}
