"""`gnsq.backofftimer`: the intervals between attempts."""

from __future__ import annotations

import random

import pytest

from gnsq.backofftimer import BackoffTimer


@pytest.fixture
def chance(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What chance gives from now on: the first of the list."""
    values = [0.5]
    monkeypatch.setattr(random, "random", lambda: values[0])
    return values


def test_a_new_timer_is_reset_and_waits_for_nothing() -> None:
    timer = BackoffTimer()
    assert timer.is_reset()
    assert (timer.c, timer.get_interval()) == (0, 0)


def test_each_call_returns_the_timer() -> None:
    timer = BackoffTimer()
    assert timer.failure() is timer
    assert timer.success() is timer
    assert timer.reset() is timer


def test_c_counts_failures_less_successes() -> None:
    timer = BackoffTimer()
    timer.failure().failure().failure()
    assert (timer.c, timer.is_reset()) == (3, False)
    timer.success()
    assert timer.c == 2
    timer.success().success().success()
    assert (timer.c, timer.is_reset()) == (0, True)


def test_reset_forgets_all_failures() -> None:
    timer = BackoffTimer().failure().failure()
    assert timer.reset().c == 0
    assert timer.is_reset()


@pytest.mark.parametrize(("failures", "limit"), [(0, 0), (1, 1), (2, 3), (3, 7), (10, 1023)])
@pytest.mark.parametrize("ratio", [1, 0.5, 3])
@pytest.mark.parametrize("by_chance", [0.0, 0.25, 0.999])
def test_the_interval_grows_exponentially(
    chance: list[float], failures: int, limit: int, ratio: float, by_chance: float
) -> None:
    chance[0] = by_chance
    timer = BackoffTimer(ratio=ratio)
    for _ in range(failures):
        timer.failure()
    assert timer.get_interval() == pytest.approx(by_chance * limit * ratio)


def test_the_interval_is_another_one_at_each_call() -> None:
    timer = BackoffTimer().failure().failure().failure()
    intervals = [timer.get_interval() for _ in range(1000)]
    assert all(0 <= interval < 7 for interval in intervals)
    assert min(intervals) < 1 and max(intervals) > 6
    assert len(set(intervals)) > 900


def test_the_interval_is_cut_to_the_bounds(chance: list[float]) -> None:
    timer = BackoffTimer(max_interval=5, min_interval=2)
    assert timer.get_interval() == 2
    for _ in range(3):
        timer.failure()
    assert timer.get_interval() == 3.5
    chance[0] = 0.9
    assert timer.get_interval() == 5


def test_any_number_of_failures_has_an_interval() -> None:
    timer = BackoffTimer(max_interval=128)
    timer.c = 1_000_000
    assert 0 <= timer.get_interval() <= 128


def test_a_timer_shows_its_state() -> None:
    assert repr(BackoffTimer(2, max_interval=9).failure()) == (
        "<BackoffTimer c=1 ratio=2 min_interval=None max_interval=9>"
    )
