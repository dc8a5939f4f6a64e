"""Many samples in a few figures, and the report that they make: as ``clients/rust/bench`` writes it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


def percentile(samples: Sequence[float], percent: int) -> float | None:
    """The sample that so many percent of all are not above, by the nearest rank; ``None`` of none. O(n log n)."""
    if not samples:
        return None
    rank = -(-len(samples) * percent // 100)
    return sorted(samples)[max(rank, 1) - 1]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """How many times ``theirs`` ours is: the median of the rounds' own ratios, for the two of a round were played side
    by side."""
    ratios = [of_ours / of_them for of_ours, of_them in zip(ours, theirs, strict=False) if of_them > 0]
    return statistics.median(ratios) if ratios else None


@dataclass
class Row:
    """What one way of doing something has cost."""

    who: str
    # In the figure's unit; absent where it has only times.
    value: float | None = None
    # How many times this value ours is; of rows that are not ours.
    ratio: float | None = None
    # Half, and 99 of a hundred, of the calls took no longer.
    p50_ms: float | None = None
    p99_ms: float | None = None
    # What is aimed at, in words, and whether it was reached.
    aim: str | None = None
    met: bool | None = None

    def timed(self, seconds: Sequence[float]) -> Row:
        """With how long the calls took."""
        if seconds:
            ordered = sorted(seconds)
            self.p50_ms = _millis(percentile(ordered, 50))
            self.p99_ms = _millis(percentile(ordered, 99))
        return self

    def at_least(self, wanted: float | None) -> Row:
        """With how many times this row ours is to be, if anything is said."""
        if wanted is not None:
            self.aim = f"ours ≥ {wanted:g} times"
            self.met = self.ratio is not None and self.ratio >= wanted
        return self


@dataclass
class Figure:
    """One thing that was measured, for all that did it."""

    name: str
    # What the values of its rows are.
    unit: str
    # Ours first.
    rows: list[Row] = field(default_factory=list)


def compared(values: Sequence[tuple[str, float]]) -> list[Row]:
    """Rows of values, of which the first is ours."""
    ours = values[0][1]
    return [Row(who, value, ratio=ours / value if place else None) for place, (who, value) in enumerate(values)]


def written(figures: Sequence[Figure]) -> str:
    """One line of JSON."""
    return json.dumps({"figures": [asdict(figure) for figure in figures]})


def _millis(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
