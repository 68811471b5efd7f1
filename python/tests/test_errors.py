"""`gnsq.errors`: the exceptions, and which of them an error of nsqd becomes."""

from __future__ import annotations

import errno
import pickle

import pytest

import gnsq
from gnsq import errors

CODES = {
    b"E_INVALID": errors.NSQInvalid,
    b"E_BAD_BODY": errors.NSQBadBody,
    b"E_BAD_TOPIC": errors.NSQBadTopic,
    b"E_BAD_CHANNEL": errors.NSQBadChannel,
    b"E_BAD_MESSAGE": errors.NSQBadMessage,
    b"E_PUT_FAILED": errors.NSQPutFailed,
    b"E_PUB_FAILED": errors.NSQPubFailed,
    b"E_MPUB_FAILED": errors.NSQMPubFailed,
    b"E_AUTH_DISABLED": errors.NSQAuthDisabled,
    b"E_AUTH_FAILED": errors.NSQAuthFailed,
    b"E_UNAUTHORIZED": errors.NSQUnauthorized,
    b"E_FIN_FAILED": errors.NSQFinishFailed,
    b"E_FINISH_FAILED": errors.NSQFinishFailed,
    b"E_REQ_FAILED": errors.NSQRequeueFailed,
    b"E_REQUEUE_FAILED": errors.NSQRequeueFailed,
    b"E_TOUCH_FAILED": errors.NSQTouchFailed,
}

NOT_FATAL = {errors.NSQFinishFailed, errors.NSQRequeueFailed, errors.NSQTouchFailed}


def test_errors_are_there_after_a_plain_import() -> None:
    assert gnsq.errors is errors


def test_every_exception_is_an_nsq_exception() -> None:
    classes = {getattr(errors, name) for name in errors.__all__ if name.startswith("NSQ")}
    assert len(classes) == 21
    assert all(issubclass(error, errors.NSQException) for error in classes)
    assert issubclass(errors.NSQException, Exception)


def test_the_table_of_codes_is_complete() -> None:
    assert errors.ERROR_CODES == CODES


@pytest.mark.parametrize("code", CODES)
def test_an_error_of_nsqd_is_of_the_class_of_its_code(code: bytes) -> None:
    data = code + b" PUB what is wrong"
    error = errors.make_error(data)
    assert type(error) is CODES[code]
    assert isinstance(error, errors.NSQErrorCode)
    assert error.args == (data,)
    assert str(error) == data.decode()
    assert error.fatal is (type(error) not in NOT_FATAL)


@pytest.mark.parametrize("code", CODES)
def test_a_code_without_a_text_is_enough(code: bytes) -> None:
    assert type(errors.make_error(code)) is CODES[code]


@pytest.mark.parametrize("data", [b"E_NEW_ONE something", b"", b" ", b"e_invalid", b"E_INVALIDATED"])
def test_an_unknown_code_is_a_plain_exception(data: bytes) -> None:
    error = errors.make_error(data)
    assert type(error) is errors.NSQException
    assert error.args == (data,)


def test_an_error_of_bytes_that_are_no_text_can_be_printed() -> None:
    assert str(errors.make_error(b"E_INVALID \xff")) == "E_INVALID \\xff"


def test_an_error_code_is_fatal_unless_it_says_otherwise() -> None:
    assert errors.NSQErrorCode.fatal is True


def test_a_socket_error_is_an_os_error_with_errno_and_text() -> None:
    error = errors.NSQSocketError(errno.ECONNREFUSED, "nobody listens")
    assert isinstance(error, OSError)
    assert isinstance(error, errors.NSQException)
    assert (error.errno, error.strerror) == (errno.ECONNREFUSED, "nobody listens")
    assert str(error) == f"[Errno {errno.ECONNREFUSED}] nobody listens"


@pytest.mark.parametrize("backoff", [None, True, False])
def test_a_wish_to_requeue_tells_about_backoff(backoff: bool | None) -> None:
    assert errors.NSQRequeueMessage(backoff).backoff is backoff
    assert errors.NSQRequeueMessage(backoff=backoff).backoff is backoff


def test_a_wish_to_requeue_has_no_opinion_by_default() -> None:
    assert errors.NSQRequeueMessage().backoff is None


def test_exceptions_survive_being_pickled() -> None:
    given = [
        errors.make_error(b"E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight"),
        errors.NSQRequeueMessage(backoff=False),
        errors.NSQSocketError(errno.ECONNRESET, "gone"),
    ]
    back = pickle.loads(pickle.dumps(given))
    assert [(type(error), error.args) for error in back] == [(type(error), error.args) for error in given]
    assert back[1].backoff is False
    assert back[2].errno == errno.ECONNRESET
