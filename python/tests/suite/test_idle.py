"""How long an nsqd keeps the part of `max_in_flight` that it had use for."""

from __future__ import annotations

from typing import Any, Callable

from support.servers import Nsqd

Eventually = Callable[..., Any]
Make = Callable[..., Any]


class _Holder:
    """A handler that leaves its messages unanswered, until they are counted."""

    def __init__(self) -> None:
        self.held: list[Any] = []
        self.counts: list[int] = []

    def __call__(self, _consumer: Any, message: Any) -> None:
        message.enable_async()
        self.held.append(message)

    def count(self) -> None:
        """Notes how many it holds, and finishes them."""
        held, self.held = self.held, []
        self.counts.append(len(held))
        for message in held:
            message.finish()


def test_what_an_nsqd_had_use_for_is_others_after_the_low_ready_idle_timeout(
    consume: Make, make_nsqd: Callable[..., Nsqd], topic: str, eventually: Eventually
) -> None:
    first, second = make_nsqd(), make_nsqd()
    soon, never = _Holder(), _Holder()
    for channel, holder, idle in (("soon", soon, 1.5), ("never", never, 3600)):
        for nsqd in (first, second):
            nsqd.create(topic, channel)
        addresses = [first.tcp_address, second.tcp_address]
        consume(holder, channel=channel, addresses=addresses, max_in_flight=10, low_ready_idle_timeout=idle)

    # The first has use for its half.
    first.publish(topic, *[b"x"] * 5)
    for holder in (soon, never):
        eventually(lambda holder=holder: len(holder.held) == 5)
        holder.count()
        holder.counts.clear()

    # Now it has not, and the second would have use for all there is.
    def turn() -> bool:
        second.publish(topic, *[b"x"] * 20)
        soon.count()
        never.count()
        return True

    eventually(lambda: turn() and 5 in never.counts)
    # All but room for one message.
    eventually(lambda: turn() and 9 in soon.counts)
    assert max(never.counts) == 5
