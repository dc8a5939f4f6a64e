"""What OpenTelemetry is told of events."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import rights
from cachebus import CacheBus, ContractError, Event, spans

from .handling import consumer
from .twins import background, soon


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans of one test: the provider of a process is set once and for all."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_tracer", provider.get_tracer("cachebus"))
    return exporter


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def told(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def test_spans_hold_the_correlation_id_and_no_data(bus: CacheBus, exported: InMemorySpanExporter) -> None:
    current: list[trace.Span] = []

    def handle(event: Event) -> None:
        current.append(trace.get_current_span())
        if len(current) == 1:
            raise ValueError("hunter2")

    event = bus.events.event("task:created", {"k": "hunter2"}, correlation_id="req-7")
    bus.events.emit(event)
    running = consumer(bus, handle)
    with background(running.run, running.stop):
        soon(lambda: len(named(exported, "process task:created")) == 2)
    [sent] = named(exported, "send task:created")
    failed, handled = named(exported, "process task:created")
    of_event = {
        "messaging.system": "redis",
        "messaging.destination.name": "task:created",
        "messaging.message.id": event.event_id,
        "messaging.message.conversation_id": "req-7",
    }
    of_handler = {**of_event, "messaging.operation.type": "process", "messaging.consumer.group.name": rights.SERVICE}
    assert told(sent) == {**of_event, "messaging.operation.type": "send"}
    assert told(handled) == of_handler
    assert told(failed) == {**of_handler, "error.type": "ValueError"}
    assert [span.kind for span in (sent, failed)] == [SpanKind.PRODUCER, SpanKind.CONSUMER]
    statuses = [span.status.status_code for span in (sent, failed, handled)]
    assert statuses == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET]
    # What a handler does is in its span.
    assert [span.get_span_context() for span in current] == [failed.context, handled.context]
    assert "hunter2" not in "".join(span.to_json() for span in exported.get_finished_spans())


def test_what_is_not_emitted_has_its_kind(bus: CacheBus, exported: InMemorySpanExporter) -> None:
    with pytest.raises(ContractError):
        bus.events.emit(bus.events.event("task:failed", {}))
    [sent] = named(exported, "send task:failed")
    assert told(sent)["error.type"] == "ContractError"
    assert "messaging.message.conversation_id" not in told(sent)
    assert sent.events == ()


def test_nothing_is_told_without_the_package(bus: CacheBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_tracer", None)
    failures: list[bool] = [True]
    handled: list[Event] = []

    def handle(event: Event) -> None:
        if failures:
            failures.pop()
            raise ValueError
        handled.append(event)

    event = bus.events.event("task:created", {})
    bus.events.emit(event)
    running = consumer(bus, handle)
    with background(running.run, running.stop):
        soon(lambda: handled == [event])
