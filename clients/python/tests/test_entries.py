"""What a near cache holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cachebus.entries import OVERHEAD, Entries, Kept

TTL = 10.0


def fill(entries: Entries, key: str, now: float = 0.0, data: bytes = b"v") -> None:
    entries.fill(key, entries.expect(key), Kept(data, None, now + TTL))


def test_what_is_held_runs_out() -> None:
    entries = Entries(10_000)
    fill(entries, "a")
    entries.fill("b", entries.expect("b"), Kept(b"v", TTL / 2, TTL))
    kept = entries.get("b", TTL / 4)
    assert kept == Kept(b"v", TTL / 2, TTL)
    assert entries.get("b", TTL / 2) is None
    assert entries.get("a", TTL / 2) is not None
    assert entries.get("a", TTL) is None
    assert entries.bytes == 0


@pytest.mark.parametrize("forget", [lambda entries: entries.forget("a"), Entries.clear], ids=["one", "all"])
def test_what_was_forgotten_while_it_was_read_is_not_held(forget: Callable[[Entries], None]) -> None:
    entries = Entries(10_000)
    number = entries.expect("a")
    forget(entries)
    entries.fill("a", number, Kept(b"old", None, TTL))
    assert entries.get("a", 0) is None


def test_the_newest_of_two_reads_is_held() -> None:
    entries = Entries(10_000)
    first, second = entries.expect("a"), entries.expect("a")
    entries.fill("a", first, Kept(b"first", None, TTL))
    assert entries.get("a", 0) is None
    entries.give_up("a", first)
    entries.fill("a", second, Kept(b"second", None, TTL))
    entries.give_up("a", second)
    assert entries.get("a", 0) == Kept(b"second", None, TTL)


def test_what_is_asked_for_stays_where_others_have_to_go() -> None:
    each = len("0") + len(b"v") + OVERHEAD
    entries = Entries(3 * each)
    for key in "012":
        fill(entries, key)
    assert entries.get("0", 0)
    fill(entries, "3")
    assert entries.get("0", 0)
    assert entries.get("1", 0) is None
    assert entries.bytes == 3 * each
    fill(entries, "4", data=bytes(4 * each))
    assert entries.get("4", 0) is None
    assert entries.get("2", 0)
