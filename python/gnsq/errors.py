"""What can go wrong, as exceptions: all of them are :class:`NSQException`.

nsqd tells its errors by a code, and each code has a class of its own::

    try:
        producer.publish("no good name!", b"body")
    except gnsq.errors.NSQBadTopic as error:
        print(error)
"""

from __future__ import annotations

__all__ = [
    "ERROR_CODES",
    "NSQAuthDisabled",
    "NSQAuthFailed",
    "NSQBadBody",
    "NSQBadChannel",
    "NSQBadMessage",
    "NSQBadTopic",
    "NSQErrorCode",
    "NSQException",
    "NSQFinishFailed",
    "NSQFrameError",
    "NSQHttpError",
    "NSQInvalid",
    "NSQMPubFailed",
    "NSQNoConnections",
    "NSQPubFailed",
    "NSQPutFailed",
    "NSQRequeueFailed",
    "NSQRequeueMessage",
    "NSQSocketError",
    "NSQTouchFailed",
    "NSQUnauthorized",
    "make_error",
]


class NSQException(Exception):
    """Anything that went wrong with NSQ; the base of all its exceptions."""

    def __str__(self) -> str:
        """The text, also where it is bytes as nsqd has sent them."""
        if len(self.args) == 1 and isinstance(self.args[0], bytes):
            return self.args[0].decode(errors="backslashreplace")
        return super().__str__()


class NSQRequeueMessage(NSQException):
    """Raised by a handler of messages to have the message requeued.

    ``backoff`` tells whether the consumer is to slow down for it; None: as its ``backoff_on_requeue`` says::

        def handler(consumer, message):
            if not ready():
                raise NSQRequeueMessage(backoff=False)
    """

    def __init__(self, backoff: bool | None = None) -> None:
        super().__init__(*(() if backoff is None else (backoff,)))
        self.backoff = backoff


class NSQNoConnections(NSQException):
    """No nsqd is connected that could take it."""


class NSQHttpError(NSQException):
    """A server's HTTP API has answered with another status than 200."""


class NSQSocketError(NSQException, OSError):
    """The network failed: also an ``OSError``, with ``errno`` and ``strerror``."""


class NSQFrameError(NSQException):
    """What came is no frame of the protocol."""


class NSQErrorCode(NSQException):
    """An error that nsqd has told by a code."""

    #: Whether nsqd closes the connection after it.
    fatal = True


class NSQInvalid(NSQErrorCode):
    """``E_INVALID``: a command that nsqd doesn't take, or not in this state, or not with these parameters."""


class NSQBadBody(NSQErrorCode):
    """``E_BAD_BODY``: the body of a command is too large, or not what it has to be."""


class NSQBadTopic(NSQErrorCode):
    """``E_BAD_TOPIC``: no valid name of a topic."""


class NSQBadChannel(NSQErrorCode):
    """``E_BAD_CHANNEL``: no valid name of a channel."""


class NSQBadMessage(NSQErrorCode):
    """``E_BAD_MESSAGE``: a message is empty or too large."""


class NSQPutFailed(NSQErrorCode):
    """``E_PUT_FAILED``: a message could not be stored, as nsqd has called it before 0.3."""


class NSQPubFailed(NSQErrorCode):
    """``E_PUB_FAILED``: the message could not be stored; another nsqd may take it."""


class NSQMPubFailed(NSQErrorCode):
    """``E_MPUB_FAILED``: the messages could not be stored, or only the first of them."""


class NSQAuthDisabled(NSQErrorCode):
    """``E_AUTH_DISABLED``: a secret was sent to an nsqd that asks for none."""


class NSQAuthFailed(NSQErrorCode):
    """``E_AUTH_FAILED``: nsqd could not find out what the secret allows."""


class NSQUnauthorized(NSQErrorCode):
    """``E_UNAUTHORIZED``: the secret doesn't allow it."""


class NSQFinishFailed(NSQErrorCode):
    """``E_FIN_FAILED``: the message was not in flight on this connection (any more), so it may come again."""

    fatal = False


class NSQRequeueFailed(NSQErrorCode):
    """``E_REQ_FAILED``: the message was not in flight on this connection (any more), so it may be elsewhere."""

    fatal = False


class NSQTouchFailed(NSQErrorCode):
    """``E_TOUCH_FAILED``: the message was not in flight on this connection (any more), so its time has run out."""

    fatal = False


#: nsqd's codes, each with its class.
ERROR_CODES: dict[bytes, type[NSQErrorCode]] = {
    b"E_INVALID": NSQInvalid,
    b"E_BAD_BODY": NSQBadBody,
    b"E_BAD_TOPIC": NSQBadTopic,
    b"E_BAD_CHANNEL": NSQBadChannel,
    b"E_BAD_MESSAGE": NSQBadMessage,
    b"E_PUT_FAILED": NSQPutFailed,
    b"E_PUB_FAILED": NSQPubFailed,
    b"E_MPUB_FAILED": NSQMPubFailed,
    b"E_AUTH_DISABLED": NSQAuthDisabled,
    b"E_AUTH_FAILED": NSQAuthFailed,
    b"E_UNAUTHORIZED": NSQUnauthorized,
    b"E_FIN_FAILED": NSQFinishFailed,
    b"E_FINISH_FAILED": NSQFinishFailed,
    b"E_REQ_FAILED": NSQRequeueFailed,
    b"E_REQUEUE_FAILED": NSQRequeueFailed,
    b"E_TOUCH_FAILED": NSQTouchFailed,
}


def make_error(data: bytes) -> NSQException:
    """The exception for an error as nsqd has sent it: a code, and mostly a text after it.

    Its class is that of the code in :data:`ERROR_CODES`, or :class:`NSQException` for any other; its argument is all of
    ``data``::

        >>> make_error(b"E_BAD_TOPIC PUB topic name is not valid")
        NSQBadTopic(b'E_BAD_TOPIC PUB topic name is not valid')
    """
    words = data.split(None, 1)
    error: type[NSQException] = ERROR_CODES.get(words[0], NSQException) if words else NSQException
    return error(data)
