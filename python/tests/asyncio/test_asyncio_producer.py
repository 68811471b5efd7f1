"""Publishing under asyncio."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from support.aio import until
from support.servers import Nsqd

from gnsq import _core, errors
from gnsq.asyncio import Producer

pytestmark = pytest.mark.modes("asyncio")


def test_publish_waits_for_nsqds_answer(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        async with Producer(nsqd.tcp_address) as producer:
            assert producer.is_running
            assert await producer.publish(topic, b"bytes") == b"OK"
            assert await producer.publish(topic, "text") == b"OK"
            assert await producer.publish(topic, b"later", defer=100) == b"OK"
            assert await producer.multipublish(topic, iter([b"one", b"two"])) == b"OK"
            with pytest.raises(ValueError):
                await producer.publish("no topic", b"x")
            with pytest.raises(TypeError):
                await producer.publish(topic, None)
        assert not producer.is_running

    asyncio.run(main())
    assert nsqd.stats(topic)["message_count"] == 5


def test_many_tasks_publish_at_once(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        async with Producer(nsqd.tcp_address) as producer:
            assert await asyncio.gather(*(producer.publish(topic, b"x") for _ in range(500))) == [b"OK"] * 500

    asyncio.run(main())
    assert nsqd.stats(topic)["message_count"] == 500


def test_without_raise_error_there_is_a_future(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        async with Producer(nsqd.tcp_address) as producer:
            futures: list[Any] = [await producer.publish(topic, b"x", raise_error=False) for _ in range(100)]
            futures.append(await producer.multipublish(topic, [b"x", b"y"], raise_error=False))
            assert all(isinstance(future, asyncio.Future) for future in futures)
            assert await asyncio.gather(*futures) == [b"OK"] * 101
            # What is cancelled is only not waited for.
            (await producer.publish(topic, b"x", raise_error=False)).cancel()

    asyncio.run(main())
    assert nsqd.stats(topic)["message_count"] == 103


def test_futures_are_for_all_that_asyncio_does_with_futures(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        async with Producer(nsqd.tcp_address) as producer:

            async def publish() -> Any:
                return await producer.publish(topic, b"x", raise_error=False)

            called: list[Any] = []
            with_callback = await publish()
            with_callback.add_done_callback(called.append)
            assert await asyncio.wait_for(await publish(), 30) == b"OK"
            assert await asyncio.shield(await publish()) == b"OK"
            done, pending = await asyncio.wait([await publish(), await publish()], timeout=30)
            assert ({future.result() for future in done}, len(done), pending) == ({b"OK"}, 2, set())
            assert [await future for future in asyncio.as_completed([await publish()])] == [b"OK"]
            assert await with_callback == b"OK"
            await asyncio.sleep(0)
            assert called == [with_callback]

    asyncio.run(main())


def test_a_future_that_is_cancelled_harms_no_other(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        reported: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: reported.append(context))
        async with Producer(nsqd.tcp_address) as producer:
            await producer.publish(topic, b"x")
            futures = [await producer.publish(topic, b"x", raise_error=False) for _ in range(50)]
            for future in futures[::2]:
                future.cancel()
            outcomes = await asyncio.gather(*futures, return_exceptions=True)
            assert outcomes[1::2] == [b"OK"] * 25
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
            assert await producer.publish(topic, b"x") == b"OK"
        assert reported == []

    asyncio.run(main())


def test_what_a_future_raises_leaves_the_others_to_the_next_time(nsqd: Nsqd, topic: str) -> None:
    class Raising(asyncio.Future[Any]):
        def set_result(self, _result: Any) -> None:
            raise KeyboardInterrupt

    async def main() -> None:
        async with Producer(nsqd.tcp_address) as producer:
            native: Any = producer._running()
            mailbox = _core.Mailbox()
            futures: list[asyncio.Future[Any]] = [asyncio.Future(), Raising(), asyncio.Future()]
            publishes = [native.publish(topic, b"x") for _ in futures]
            publishes[0].arm(mailbox, "given")
            for publish, future in zip(publishes, futures):
                publish.settle(mailbox, future)
            await until(lambda: all(publish.done() for publish in publishes))
            given: list[Any] = []
            interrupts = 0
            while mailbox.is_armed():
                try:
                    given += mailbox.drain()
                except KeyboardInterrupt:
                    interrupts += 1
            assert (given, interrupts) == (["given"], 1)
            assert [future.result() for future in futures[::2]] == [b"OK"] * 2

    asyncio.run(main())


def test_without_room_a_publish_waits(nsqd: Nsqd, topic: str) -> None:
    class Small(Producer):
        max_outstanding = 3

    async def main() -> None:
        async with Small(nsqd.tcp_address) as producer:
            assert await asyncio.gather(*(producer.publish(topic, b"x") for _ in range(50))) == [b"OK"] * 50
            futures = [await producer.publish(topic, b"x", raise_error=False) for _ in range(50)]
            assert await asyncio.gather(*futures) == [b"OK"] * 50

    asyncio.run(main())
    assert nsqd.stats(topic)["message_count"] == 100


def test_without_a_connection_a_publish_waits_as_long_as_it_is_told_to(nsqd: Nsqd, topic: str) -> None:
    nsqd.stop()

    async def main() -> None:
        async with Producer(nsqd.tcp_address, max_backoff_duration=0.1) as producer:
            with pytest.raises(errors.NSQNoConnections):
                await producer.publish(topic, b"x", block=False)
            with pytest.raises(errors.NSQNoConnections):
                await producer.publish(topic, b"x", timeout=0.1)
            cancelled = asyncio.ensure_future(producer.publish(topic, b"never"))
            waiting = asyncio.ensure_future(producer.publish(topic, b"x"))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            await asyncio.get_running_loop().run_in_executor(None, nsqd.start)
            assert await waiting == b"OK"

    asyncio.run(main())
    assert nsqd.stats(topic)["message_count"] == 1


def test_a_publish_that_is_cancelled_harms_no_other(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        async with Producer(nsqd.tcp_address) as producer:
            tasks = [asyncio.ensure_future(producer.publish(topic, b"x")) for _ in range(100)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert outcomes[1::2] == [b"OK"] * 50

    asyncio.run(main())


def test_it_can_be_used_while_it_runs_and_started_once(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        producer = Producer(nsqd.tcp_address)
        with pytest.raises(errors.NSQException):
            await producer.publish(topic, b"x")
        await producer.start()
        with pytest.warns(RuntimeWarning):
            await producer.start()
        await producer.join(timeout=0.05)
        with pytest.raises(errors.NSQException):
            await producer.join(timeout=0.05, raise_error=True)
        # It does not wait unless it is awaited, and it may be called again.
        producer.close()
        await producer.close()
        await producer.join()
        assert not producer.is_running
        with pytest.raises(errors.NSQException):
            await producer.publish(topic, b"x")
        with pytest.raises(errors.NSQException):
            await producer.start()

    asyncio.run(main())


def test_close_waits_for_what_is_outstanding(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        producer = Producer(nsqd.tcp_address)
        await producer.start()
        futures = [await producer.publish(topic, b"x", raise_error=False) for _ in range(1000)]
        await producer.close()
        assert await asyncio.gather(*futures) == [b"OK"] * 1000

    asyncio.run(main())
    assert nsqd.stats(topic)["message_count"] == 1000


def test_signals_tell_functions_and_coroutine_functions(nsqd: Nsqd, topic: str) -> None:
    told: list[str] = []

    async def on_response(_producer: Producer, response: bytes) -> None:
        await asyncio.sleep(0)
        told.append("response")

    async def on_close(_producer: Producer) -> None:
        await asyncio.sleep(0.02)
        told.append("close")

    async def main() -> None:
        async with Producer(nsqd.tcp_address) as producer:
            producer.on_response.connect(on_response, weak=False)
            producer.on_close.connect(on_close, weak=False)
            await producer.publish(topic, b"x")
            await until(lambda: told)

    asyncio.run(main())
    assert told[0] == "response"
    assert told[-1] == "close"


def test_it_may_connect_to_one_more_nsqd(make_nsqd: Any, topic: str) -> None:
    first, second = make_nsqd(), make_nsqd()

    async def main() -> None:
        async with Producer(first.tcp_address) as producer:
            await producer.connect_to_nsqd(second.host, second.tcp_port)
            for _ in range(4):
                await producer.publish(topic, b"x")

    asyncio.run(main())
    assert first.stats(topic)["message_count"] == second.stats(topic)["message_count"] == 2


def test_one_that_nobody_has_any_more_is_gone(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        before = len(loop._selector.get_map())
        producer = Producer(nsqd.tcp_address)
        await producer.start()
        await producer.publish(topic, b"x")
        gone = weakref.ref(producer)
        del producer
        gc.collect()
        assert gone() is None
        # The last client's end ends the watch, too.
        await until(lambda: len(loop._selector.get_map()) == before)

    asyncio.run(main())
