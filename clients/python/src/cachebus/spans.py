"""What OpenTelemetry is told of events, under the names that it has for messages: never data.

Only its API is called, where that is installed. An application that has set up the SDK exports the spans.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from .envelope import Event
from .errors import CacheBusError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

try:
    from opentelemetry import trace
except ImportError:
    _tracer: Tracer | None = None
else:
    _tracer = trace.get_tracer("cachebus")


class Attempt:
    """Something that may fail, and its span."""

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def failed(self, kind: str) -> None:
        """It did not work; the kind of the failure, never its text, which may hold what the event holds."""
        if self._span is not None:
            self._span.set_status(trace.StatusCode.ERROR)
            self._span.set_attribute("error.type", kind)


@contextmanager
def emitting(event: Event) -> Iterator[None]:
    """An event is emitted."""
    with _attempt("send", event, None) as attempt:
        try:
            yield
        except CacheBusError as error:
            attempt.failed(type(error).__name__)
            raise


def handling(event: Event, group: str | None) -> AbstractContextManager[Attempt]:
    """An event is handled, once for each attempt. ``group``: of the consumer; ``None`` for a live one."""
    return _attempt("process", event, group)


@contextmanager
def _attempt(operation: str, event: Event, group: str | None) -> Iterator[Attempt]:
    if _tracer is None:
        yield Attempt(None)
        return
    attributes = {
        "messaging.system": "redis",
        "messaging.operation.type": operation,
        "messaging.destination.name": event.channel,
        "messaging.message.id": event.event_id,
        "messaging.message.conversation_id": event.correlation_id,
        "messaging.consumer.group.name": group,
    }
    with _tracer.start_as_current_span(
        f"{operation} {event.channel}",
        kind=trace.SpanKind.PRODUCER if operation == "send" else trace.SpanKind.CONSUMER,
        attributes={name: value for name, value in attributes.items() if value is not None},
        # An exception's text may hold what the event holds.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield Attempt(span)
