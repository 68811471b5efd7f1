"""Latencies of many messages in few numbers: how many there were of each size, to two parts in a hundred."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

Histogram = dict[int, int]
_STEP = math.log(1.02)


def histogram(micros: Iterable[float]) -> Histogram:
    """Counts them."""
    return dict(sorted(Counter(round(math.log(max(value, 1.0)) / _STEP) for value in micros).items()))


def together(histograms: Iterable[Histogram]) -> Histogram:
    """The counts of all of them."""
    total: Counter[int] = Counter()
    for one in histograms:
        total.update(one)
    return dict(sorted(total.items()))


def percentile(counts: Histogram, percent: float) -> float:
    """In microseconds: so many per cent of the messages took no longer."""
    rank = math.ceil(sum(counts.values()) * percent / 100)
    for bucket, count in counts.items():
        rank -= count
        if rank <= 0:
            return math.exp(bucket * _STEP)
    return math.nan
