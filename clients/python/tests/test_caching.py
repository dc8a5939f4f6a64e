"""How long values live, and what is stored."""

from __future__ import annotations

import pytest

from cachebus import ValueInvalid
from cachebus.caching import Rules
from cachebus.freshness import Freshness

TTL = 100.0


def test_whether_a_life_says_anything() -> None:
    assert not Freshness().tells
    assert Freshness(early=0.1).tells
    assert Freshness(stale_for=1).tells


def test_jitter_shortens_the_time_alone() -> None:
    rules: Rules[object] = Rules(jitter=0.5, absent_for=10, freshness=Freshness(stale_for=30))
    lives = [rules.lifetime(TTL) for _ in range(200)]
    assert min(lives) >= 80_000
    assert max(lives) <= 130_000
    assert max(lives) - min(lives) > 10_000
    assert all(5_000 <= rules.absent_lifetime() <= 10_000 for _ in range(50))
    assert Rules[object]().lifetime(0) == 1


def test_null_is_no_value_of_an_own_type() -> None:
    rules: Rules[complex] = Rules(encode=lambda value: [value.real, value.imag], decode=lambda pair: complex(*pair))
    assert rules.decoded(rules.encoded(1 + 2j)) == 1 + 2j
    assert rules.decoded(b"null") is None
    with pytest.raises(ValueInvalid):
        rules.decoded(b'"x"')
