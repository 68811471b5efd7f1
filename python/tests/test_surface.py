"""What programs may import and call: names, parameters and defaults as promised, and all of it documented."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

import gnsq

# It waits for nothing.
pytestmark = pytest.mark.modes("threads")

#: What `from gnsq import …` gives.
NAMES = [
    "BackoffTimer",
    "Consumer",
    "Lookupd",
    "LookupdClient",
    "Message",
    "Nsqd",
    "NsqdHTTPClient",
    "NsqdTCPClient",
    "Producer",
    "Reader",
    "__version__",
    "errors",
    "protocol",
    "states",
]

MODULES = [
    "asyncio",
    "backofftimer",
    "consumer",
    "contrib",
    "contrib.batch",
    "contrib.giveup",
    "contrib.queue",
    "contrib.sentry",
    "errors",
    "httpclient",
    "lookupd",
    "message",
    "nsqd",
    "producer",
    "protocol",
    "pytest_plugin",
    "reader",
    "states",
    "testing",
    "util",
    "version",
]

#: Where classes and functions are found, beside `gnsq` itself.
PLACES = {
    "asyncio": "Consumer LookupdClient NsqdHTTPClient NsqdTCPClient Producer",
    "backofftimer": "BackoffTimer",
    "consumer": "Consumer",
    "contrib.batch": "BatchHandler",
    "contrib.giveup": "JSONLogGiveupHandler LogGiveupHandler NsqdGiveupHandler",
    "contrib.queue": "ChannelHandler QueueHandler",
    "contrib.sentry": "SentryExceptionHandler",
    "httpclient": "HTTPClient",
    "lookupd": "Lookupd LookupdClient",
    "message": "Message",
    "nsqd": "Nsqd NsqdHTTPClient NsqdTCPClient",
    "producer": "Producer",
    "reader": "Reader",
    "testing": "Clock Nsqd Nsqlookupd",
    "util": "normalize_nsqd_address parse_lookupds parse_nsqds",
    "version": "__version__",
}

#: A signature begins with what is promised, in this order; `...` is a default that isn't. More may follow, if it need
#: not be given.
SIGNATURES = """
    Producer(nsqd_tcp_addresses=(), max_backoff_duration=128, **connection_options)
    Producer.start(self)
    Producer.publish(self, topic, data, defer=None, block=True, timeout=None, raise_error=True)
    Producer.multipublish(self, topic, messages, block=True, timeout=None, raise_error=True)
    Producer.close(self)
    Producer.join(self, timeout=None, raise_error=False)
    Producer.connect_to_nsqd(self, address, port)

    Consumer(topic, channel, nsqd_tcp_addresses=(), lookupd_http_addresses=(), name=None, message_handler=None, \
max_tries=5, max_in_flight=1, requeue_delay=0, lookupd_poll_interval=60, lookupd_poll_jitter=0.3, \
low_ready_idle_timeout=10, max_backoff_duration=128, backoff_on_requeue=True, **connection_options)
    Consumer.start(self, block=True)
    Consumer.close(self)
    Consumer.join(self, timeout=None, raise_error=False)
    Consumer.query_nsqd(self)
    Consumer.query_lookupd(self)
    Consumer.connect_to_nsqd(self, address, port)
    Consumer.redistribute_ready_state(self)
    Consumer.messages(self)
    Reader.publish(self, topic, message)

    NsqdTCPClient(address="127.0.0.1", port=4150, timeout=60.0, client_id=None, hostname=None, heartbeat_interval=30, \
output_buffer_size=16384, output_buffer_timeout=250, tls_v1=False, tls_options=None, snappy=False, deflate=False, \
deflate_level=6, sample_rate=0, auth_secret=None, user_agent=...)
    NsqdTCPClient.connect(self)
    NsqdTCPClient.identify(self)
    NsqdTCPClient.auth(self)
    NsqdTCPClient.subscribe(self, topic, channel)
    NsqdTCPClient.publish(self, topic, data, defer=None)
    NsqdTCPClient.multipublish(self, topic, messages)
    NsqdTCPClient.ready(self, count)
    NsqdTCPClient.finish(self, message_id)
    NsqdTCPClient.requeue(self, message_id, timeout=0, backoff=True)
    NsqdTCPClient.touch(self, message_id)
    NsqdTCPClient.close(self)
    NsqdTCPClient.nop(self)
    NsqdTCPClient.read_response(self)
    NsqdTCPClient.listen(self)
    NsqdTCPClient.close_stream(self)

    Nsqd(address="127.0.0.1", tcp_port=4150, http_port=4151, **connection_options)
    Nsqd.publish(self, topic, data, defer=None)
    Nsqd.publish_tcp(self, topic, data, defer=None)
    Nsqd.publish_http(self, topic, data, defer=None)
    Nsqd.multipublish(self, topic, messages)
    Nsqd.multipublish_tcp(self, topic, messages)
    Nsqd.multipublish_http(self, topic, messages)
    Nsqd.stats(self, topic=None, channel=None, text=False)
    Nsqd.create_topic(self, topic)
    Nsqd.create_channel(self, topic, channel)

    NsqdHTTPClient(host="localhost", port=4151, useragent=..., **kw)
    NsqdHTTPClient.from_url(url, **kw)
    NsqdHTTPClient.publish(self, topic, data, defer=None)
    NsqdHTTPClient.multipublish(self, topic, messages, binary=False)
    NsqdHTTPClient.create_topic(self, topic)
    NsqdHTTPClient.delete_topic(self, topic)
    NsqdHTTPClient.empty_topic(self, topic)
    NsqdHTTPClient.pause_topic(self, topic)
    NsqdHTTPClient.unpause_topic(self, topic)
    NsqdHTTPClient.create_channel(self, topic, channel)
    NsqdHTTPClient.delete_channel(self, topic, channel)
    NsqdHTTPClient.empty_channel(self, topic, channel)
    NsqdHTTPClient.pause_channel(self, topic, channel)
    NsqdHTTPClient.unpause_channel(self, topic, channel)
    NsqdHTTPClient.stats(self, topic=None, channel=None, text=False)
    NsqdHTTPClient.ping(self)
    NsqdHTTPClient.info(self)

    LookupdClient(host="localhost", port=4161, useragent=..., **kw)
    LookupdClient.from_url(url, **kw)
    LookupdClient.lookup(self, topic)
    LookupdClient.topics(self)
    LookupdClient.channels(self, topic)
    LookupdClient.nodes(self)
    LookupdClient.create_topic(self, topic)
    LookupdClient.delete_topic(self, topic)
    LookupdClient.create_channel(self, topic, channel)
    LookupdClient.delete_channel(self, topic, channel)
    LookupdClient.tombstone_topic(self, topic, node)
    LookupdClient.ping(self)
    LookupdClient.info(self)
    Lookupd(address="http://localhost:4161/", **kw)
    Lookupd.tombstone_topic_producer(self, topic, node)

    Message(timestamp, attempts, id, body)
    Message.finish(self)
    Message.requeue(self, time_ms=0, backoff=True)
    Message.touch(self)
    Message.has_responded(self)
    Message.enable_async(self)
    Message.is_async(self)
    BackoffTimer(ratio=1, max_interval=None, min_interval=None)
    BackoffTimer.success(self)
    BackoffTimer.failure(self)
    BackoffTimer.reset(self)
    BackoffTimer.is_reset(self)
    BackoffTimer.get_interval(self)

    errors.NSQRequeueMessage(backoff=None)
    errors.make_error(data)
    protocol.valid_topic_name(topic_name)
    protocol.valid_channel_name(channel_name)
    protocol.assert_valid_topic_name(topic_name)
    protocol.assert_valid_channel_name(channel_name)
    protocol.unpack_size(data)
    protocol.unpack_response(data)
    protocol.unpack_message(data)
    protocol.identify(data)
    protocol.auth(secret)
    protocol.subscribe(topic_name, channel_name)
    protocol.publish(topic_name, data)
    protocol.multipublish(topic_name, messages)
    protocol.multipublish_body(messages)
    protocol.deferpublish(topic_name, data, delay_ms)
    protocol.ready(count)
    protocol.finish(message_id)
    protocol.requeue(message_id, timeout=0)
    protocol.touch(message_id)
    protocol.close()
    protocol.nop()
    util.normalize_nsqd_address(address)
    util.parse_nsqds(nsqd_tcp_addresses)
    util.parse_lookupds(lookupd_http_addresses)

    contrib.batch.BatchHandler(batch_size, handle_batch=None, handle_message=None, handle_batch_error=None, \
handle_message_error=None, timeout=10, spawn=...)
    contrib.giveup.LogGiveupHandler(log=..., newline="\\n")
    contrib.giveup.LogGiveupHandler.format_message(self, message)
    contrib.giveup.NsqdGiveupHandler(topic, nsqd_hosts=..., nsqd_class=...)
    contrib.giveup.NsqdGiveupHandler.format_message(self, message)
    contrib.queue.QueueHandler(maxsize=None)
    contrib.queue.QueueHandler.get(self)
    contrib.queue.QueueHandler.put(self, item)
    contrib.queue.QueueHandler.qsize(self)
    contrib.queue.QueueHandler.empty(self)
    contrib.queue.ChannelHandler()
    contrib.sentry.SentryExceptionHandler(client)
""".strip().splitlines()

#: Signals, properties and attributes of the classes, whose instances have them.
MEMBERS = {
    "Producer": "is_running on_response on_error on_auth on_close nsqd_tcp_addresses",
    "Consumer": """
        is_running is_starved total_ready_count total_in_flight on_message on_response on_error on_finish on_requeue
        on_giving_up on_auth on_exception on_close topic channel nsqd_tcp_addresses lookupds name max_tries
        max_in_flight requeue_delay lookupd_poll_interval lookupd_poll_jitter low_ready_idle_timeout
        max_backoff_duration backoff_on_requeue
    """,
    "NsqdTCPClient": """
        state is_connected ready_count in_flight max_ready_count last_response last_message is_starved address port
        timeout client_id hostname heartbeat_interval output_buffer_size output_buffer_timeout tls_v1 tls_options snappy
        deflate deflate_level sample_rate auth_secret user_agent on_message on_response on_error on_finish on_requeue
        on_auth on_close
    """,
    "NsqdHTTPClient": "scheme host port address",
    "LookupdClient": "scheme host port address",
    "Message": "timestamp attempts id body on_finish on_requeue on_touch",
    "BackoffTimer": "c",
}

STATES = {"INIT": 0, "CONNECTED": 1, "DISCONNECTED": 2, "RUNNING": 3, "BACKOFF": 4, "THROTTLED": 5, "CLOSED": 6}


def test_the_package_has_its_names() -> None:
    assert [name for name in NAMES if not hasattr(gnsq, name)] == []
    assert set(NAMES) == set(gnsq.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_each_module_can_be_imported_by_itself(name: str) -> None:
    subprocess.run([sys.executable, "-I", "-W", "error", "-c", f"import gnsq.{name}"], check=True, timeout=60)


def test_modules_that_programs_use_without_importing_them_are_there() -> None:
    code = "import gnsq; gnsq.errors.NSQException, gnsq.protocol.OK, gnsq.states.INIT"
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)


def test_gevent_and_asyncio_are_not_imported_unasked() -> None:
    code = "import gnsq, sys; assert not {'gevent', 'asyncio', 'ssl', 'pytest'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("place", PLACES)
def test_classes_are_found_in_their_modules(place: str) -> None:
    module = import_module(f"gnsq.{place}")
    missing = [name for name in PLACES[place].split() if not hasattr(module, name)]
    assert missing == []


@pytest.mark.parametrize("promised", [line.strip() for line in SIGNATURES if line.strip()])
def test_parameters_and_defaults_are_as_promised(promised: str) -> None:
    path, _, parameters = promised.partition("(")
    namespace: dict[str, Any] = {}
    exec(f"def function({parameters}: pass", namespace)
    wanted = list(inspect.signature(namespace["function"]).parameters.values())
    if path == "Message" and sys.version_info < (3, 10):
        pytest.skip("Python 3.9 knows no signature of a native class")
    there = list(inspect.signature(_find(path)).parameters.values())
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in there)
    for parameter in wanted:
        if parameter.kind is parameter.VAR_KEYWORD:
            assert takes_any
            break
        found = there.pop(0)
        assert found.name == parameter.name
        assert found.kind in (found.POSITIONAL_OR_KEYWORD, found.POSITIONAL_ONLY)
        if parameter.default is ...:
            assert found.default is not found.empty
        else:
            assert found.default == parameter.default
    optional = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    assert [one.name for one in there if one.default is one.empty and one.kind not in optional] == []


@pytest.mark.parametrize("name", MEMBERS)
def test_instances_have_their_attributes(name: str) -> None:
    arguments = {
        "Producer": ("127.0.0.1:4150",),
        "Consumer": ("topic", "channel", "127.0.0.1:4150"),
        "Message": (0, 1, b"0123456789abcdef", b""),
    }
    made = getattr(gnsq, name)(*arguments.get(name, ()))
    assert [member for member in MEMBERS[name].split() if not hasattr(made, member)] == []


def test_states_have_their_numbers() -> None:
    assert {name: getattr(gnsq.states, name) for name in STATES} == STATES


@pytest.mark.parametrize("name", ["Consumer", "LookupdClient", "NsqdHTTPClient", "NsqdTCPClient", "Producer"])
def test_a_client_for_asyncio_has_the_names_of_the_other(name: str) -> None:
    ours = getattr(import_module("gnsq.asyncio"), name)
    missing = [each for each in _public(getattr(gnsq, name)) if not hasattr(ours, each)]
    assert missing == []


@pytest.mark.parametrize("name", ["", *MODULES])
def test_all_that_is_public_has_a_docstring(name: str) -> None:
    module = import_module(f"gnsq.{name}" if name else "gnsq")
    assert [path for path, doc in _documented(module) if not (doc or "").strip()] == []


def _documented(module: ModuleType) -> Iterator[tuple[str, str | None]]:
    """What is public in a module, with its own docstring."""
    yield module.__name__, module.__doc__
    offered = getattr(module, "__all__", vars(module))
    for name, member in sorted(vars(module).items()):
        if name.startswith("_") or name not in offered or not getattr(member, "__module__", "").startswith("gnsq"):
            continue
        path = f"{module.__name__}.{name}"
        if inspect.isclass(member):
            yield path, member.__dict__.get("__doc__")
            for inner in _public(member):
                yield f"{path}.{inner}", inspect.getdoc(getattr(member, inner))
        elif callable(member):
            yield path, member.__doc__


def _public(cls: type) -> list[str]:
    """The methods and properties that a class of ours defines or inherits from another one of ours."""
    return sorted(
        {
            name
            for each in cls.__mro__
            if each.__module__.startswith(("gnsq", "builtins")) and each not in (object, Exception, OSError)
            for name, member in vars(each).items()
            if not name.startswith("_")
            and (callable(member) or isinstance(member, (property, classmethod, staticmethod)))
        }
    )


def _find(path: str) -> Any:
    """A name within the package."""
    found: Any = gnsq
    for part in path.split("."):
        if isinstance(found, ModuleType) and not hasattr(found, part):
            import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return found
