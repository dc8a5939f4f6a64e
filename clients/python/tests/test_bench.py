"""The pure parts of ``cargo xtask bench clients`` in Python."""

from __future__ import annotations

import json

import pytest

from bench.rounds import Contender, Load, Slice, compare
from bench.summary import Figure, Row, compared, percentile, ratio, written


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 100), (99, 198), (100, 200)])
def test_a_percentile_is_a_sample_that_so_many_are_not_above(percent: int, expected: int) -> None:
    assert percentile(range(200, 0, -1), percent) == expected
    assert percentile([7], percent) == 7
    assert percentile([], percent) is None


def test_a_ratio_is_of_those_that_were_played_side_by_side() -> None:
    assert ratio([90, 45], [100, 50]) == pytest.approx(0.9)
    assert ratio([90, 10], [100, 0]) == pytest.approx(0.9)
    assert ratio([], []) is None


async def test_contenders_take_turns_and_the_first_round_does_not_count() -> None:
    played = []
    rates = {"a": [1.0, 90.0, 50.0], "b": [1.0, 100.0, 50.0]}

    def contender(who: str, aim: float | None = None) -> Contender:
        async def play(_: Load) -> Slice:
            played.append(who)
            return Slice(rates[who].pop(0), [0.002])

        return Contender(who, play, aim)

    ours, theirs = await compare([contender("a"), contender("b", 0.9)], Load(1, 0, 2))
    assert "".join(played) == "abbaab"
    assert (ours.value, ours.ratio) == (70, None)
    assert (theirs.value, theirs.ratio, theirs.met) == (75, pytest.approx(0.95), True)
    assert theirs.p99_ms == pytest.approx(2)


def test_a_report_is_one_line_with_ours_first() -> None:
    figure = Figure("Python: memory", "KiB", compared([("cachebus.aio", 9.0), ("redis-py", 6.0)]))
    text = written([figure])
    assert "\n" not in text
    [read] = json.loads(text)["figures"]
    assert [row["ratio"] for row in read["rows"]] == [None, 1.5]
    assert Row("redis-py", 1.0, ratio=0.89).at_least(0.9).met is False
