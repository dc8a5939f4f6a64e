"""The service's part of the contract: ``contract.json`` of its binding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import BindingError, ContractError
from .keys import Template

VERSION = 1


@dataclass(frozen=True)
class KeyspaceSpec:
    """A family of keys."""

    name: str
    template: Template
    ttl_ms: int
    lock: bool
    writable: bool


@dataclass(frozen=True)
class ChannelSpec:
    """One event channel. ``history``: events kept in its list; 0: none."""

    channel: str
    durable: bool
    history: int
    retention_ms: int

    @property
    def ids_key(self) -> str:
        return f"events:{self.channel}:ids"

    @property
    def history_key(self) -> str:
        return f"events:{self.channel}:history"

    @property
    def stream_key(self) -> str:
        return f"events:{self.channel}:stream"

    def dead_letter_key(self, service: str) -> str:
        return f"events:{self.channel}:dead:{service}"


@dataclass(frozen=True)
class Confirm:
    """The command that waits for copies of a write, and how many of them make it safe."""

    command: tuple[str | int, ...]
    replicas: int
    local: int
    timeout_ms: int


@dataclass(frozen=True)
class Contract:
    """All that a service may do."""

    service: str
    cache_enabled: bool
    events_enabled: bool
    keyspaces: Mapping[str, KeyspaceSpec] = field(default_factory=dict)
    publish: Mapping[str, ChannelSpec] = field(default_factory=dict)
    subscribe: Mapping[str, ChannelSpec] = field(default_factory=dict)
    confirm: Confirm | None = None

    @classmethod
    def parse(cls, text: str | bytes) -> Contract:
        """Reads ``contract.json``. Fields that are not known are left alone."""
        try:
            document = json.loads(text)
            if document["version"] != VERSION:
                raise BindingError(f"contract.json is not of version {VERSION}")
            return cls._of(document)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BindingError("contract.json is not a contract") from None

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Contract:
        events = document["events"]
        keyspaces = [_keyspace(entry) for entry in document["cache"]["keyspaces"]]
        return cls(
            service=str(document["service"]),
            cache_enabled=bool(document["cache"]["enabled"]),
            events_enabled=bool(events["enabled"]),
            keyspaces={keyspace.name: keyspace for keyspace in keyspaces},
            publish=_channels(events["publish"]),
            subscribe=_channels(events["subscribe"]),
            confirm=_confirm(document.get("durability", {}).get("confirm")),
        )

    def keyspace(self, name: str) -> KeyspaceSpec:
        """The keyspace of this name; ``ContractError`` where the service has none."""
        try:
            return self.keyspaces[name]
        except KeyError:
            raise ContractError(f"{self.service} has no keyspace {name}") from None

    def published(self, channel: str) -> ChannelSpec:
        """A channel that the service publishes; else ``ContractError``."""
        try:
            return self.publish[channel]
        except KeyError:
            raise ContractError(f"{self.service} does not publish {channel}") from None

    def subscribed(self, name: str) -> list[ChannelSpec]:
        """The channels that a name stands for: one event, or all of a group that the service subscribes to."""
        if name in self.subscribe:
            return [self.subscribe[name]]
        group = [spec for channel, spec in self.subscribe.items() if channel.startswith(f"{name}:")]
        if not group:
            raise ContractError(f"{self.service} does not subscribe to {name}")
        return group


def _keyspace(entry: dict[str, Any]) -> KeyspaceSpec:
    return KeyspaceSpec(
        name=str(entry["name"]),
        template=Template(entry["key"]),
        ttl_ms=int(entry["ttlSeconds"]) * 1000,
        lock=entry["kind"] == "Lock",
        writable=entry["access"] == "write",
    )


def _channels(entries: list[dict[str, Any]]) -> dict[str, ChannelSpec]:
    return {
        str(entry["channel"]): ChannelSpec(
            channel=str(entry["channel"]),
            durable=bool(entry["durable"]),
            history=int(entry["history"]),
            retention_ms=int(entry["retentionSeconds"]) * 1000,
        )
        for entry in entries
    }


def _confirm(entry: dict[str, Any] | None) -> Confirm | None:
    if entry is None:
        return None
    command = str(entry["command"])
    replicas, timeout = int(entry["replicas"]), int(entry["timeoutMs"])
    local = int(entry.get("local", 0))
    numbers = (local, replicas) if command == "WAITAOF" else (replicas,)
    return Confirm((command, *numbers, timeout), replicas, local, timeout)
