"""`gnsq.states`: the numbers are what programs compare and log."""

from __future__ import annotations

import gnsq


def test_states_have_their_numbers() -> None:
    states = gnsq.states
    assert (states.INIT, states.CONNECTED, states.DISCONNECTED, states.RUNNING) == (0, 1, 2, 3)
    assert (states.BACKOFF, states.THROTTLED, states.CLOSED) == (4, 5, 6)
