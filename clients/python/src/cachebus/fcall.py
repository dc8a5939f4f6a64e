"""Calls of the function library. functions/vectors/fcalls.json holds examples."""

from __future__ import annotations

from collections.abc import Sequence

from .contract import ChannelSpec

Words = tuple["str | int", ...]


def emit(spec: ChannelSpec, envelope: str, window_ms: int) -> Words:
    """``window_ms``: how long the event's id is remembered; 0: not at all."""
    keys = []
    if window_ms:
        keys.append(spec.ids_key)
    if spec.history:
        keys.append(spec.history_key)
    if spec.durable:
        keys.append(spec.stream_key)
    return ("FCALL", "cachebus_emit", len(keys), *keys, *_event(spec, envelope, window_ms))


def invalidate(keys: Sequence[str], spec: ChannelSpec, envelope: str, window_ms: int) -> Words:
    """Removes cache keys, at most 1,000, and emits."""
    return ("FCALL", "cachebus_invalidate", len(keys), *keys, *_event(spec, envelope, window_ms))


def lock(key: str, token: str, ttl_ms: int, epoch: int) -> Words:
    """``epoch``: Sentinels' epoch of the primary; 0 where it is not known."""
    return ("FCALL", "cachebus_lock", 2, key, f"{key}:fence", token, ttl_ms, epoch)


def extend(key: str, token: str, ttl_ms: int) -> Words:
    return ("FCALL", "cachebus_extend", 1, key, token, ttl_ms)


def unlock(key: str, token: str) -> Words:
    return ("FCALL", "cachebus_unlock", 1, key, token)


def _event(spec: ChannelSpec, envelope: str, window_ms: int) -> Words:
    return (spec.channel, envelope, spec.history, int(spec.durable), window_ms)
