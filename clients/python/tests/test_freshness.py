"""How old values are, and how long they live."""

from __future__ import annotations

import pytest

from cachebus import ValueInvalid
from cachebus.caching import Rules
from cachebus.freshness import Age, Freshness

TTL = 100.0


@pytest.mark.parametrize(
    ("left", "chance", "age"),
    [
        (100, 1.0, Age.FRESH),
        (20, 1.0, Age.FRESH),
        (19, 1.0, Age.RIPE),
        (19, 0.5, Age.FRESH),
        (9, 0.5, Age.RIPE),
        (0, 0.1, Age.RIPE),
    ],
)
def test_a_value_ripens_in_the_last_part_of_its_time(left: float, chance: float, age: Age) -> None:
    assert Freshness(early=0.2).age(left, TTL, chance) is age


@pytest.mark.parametrize(
    ("left", "chance", "age"),
    [
        (130, 1.0, Age.FRESH),
        (50, 1.0, Age.FRESH),
        (49, 1.0, Age.RIPE),
        (31, 0.0, Age.FRESH),
        (30, 0.0, Age.STALE),
        (0, 0.0, Age.STALE),
    ],
)
def test_what_is_left_of_the_window_is_stale(left: float, chance: float, age: Age) -> None:
    assert Freshness(early=0.2, stale_for=30).age(left, TTL, chance) is age


def test_what_has_no_end_or_no_rule_is_fresh() -> None:
    assert Freshness(early=1.0, stale_for=TTL).age(None, TTL, 1.0) is Age.FRESH
    assert Freshness().age(0, TTL, 1.0) is Age.FRESH
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
