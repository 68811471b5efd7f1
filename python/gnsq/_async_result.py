"""The outcome to come of a publish, as gevent has such things. Imported only where gevent is."""

from __future__ import annotations

from typing import Any

from gevent.event import AsyncResult

from . import _core
from ._modes import Mode


class PublishResult(AsyncResult):  # type: ignore[type-arg]
    """What ``publish(..., raise_error=False)`` returns under gevent: an `AsyncResult` that is set when the publish has
    its outcome."""

    # One object a publish: it is also what the mode calls.
    __slots__ = ("_publish",)

    _publish: _core.Publish | None

    def __call__(self, source: Any = None) -> None:
        """Takes over the outcome: of the publish or, as any `AsyncResult` does, of `source`."""
        if source is not None:
            super().__call__(source)
            return
        publish, self._publish = self._publish, None
        if publish is None:
            return
        try:
            answer = publish.result()
        except Exception as error:
            self.set_exception(error)
        else:
            self.set(answer)


def async_result(mode: Mode, publish: _core.Publish) -> PublishResult:
    """The outcome to come of the publish."""
    result = PublishResult()
    result._publish = publish
    mode.when_ready(publish, result)
    return result
