"""Uses gnsq in processes of `multiprocessing`: `processes.py METHOD TCP_ADDRESS TOPIC`."""

from __future__ import annotations

import multiprocessing
import sys

from support import mode
from support.waiting import pause

if __name__ == "__main__":
    # A process that is spawned imports this file, and is in no mode by itself.
    mode.begin()

import gnsq


def work(address: str, topic: str, name: int) -> None:
    """What each process does."""
    with gnsq.Producer(address) as producer:
        for number in range(10):
            producer.publish(topic, b"%d-%d" % (name, number))


def main() -> None:
    """Runs it."""
    method, address, topic = sys.argv[1:]
    producer = gnsq.Producer(address)
    producer.start()
    producer.publish(topic, b"of the parent")
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=work, args=(address, topic, name)) for name in range(3)]
    for process in processes:
        process.start()
    # A patched `os.close` is done in the hub's next turn: only then is the end of a process seen.
    pause(0.01)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0], processes
    producer.publish(topic, b"of the parent")
    producer.close()
    producer.join()
    print("done")


if __name__ == "__main__":
    main()
