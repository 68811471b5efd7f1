"""The native half. Private: its names may change."""

from typing import Any

class Mailbox:
    """Gathers what is ready, for one event loop."""

    def __init__(self) -> None: ...
    def fileno(self) -> int: ...
    def drain(self) -> list[Any]: ...
    def wait(self, timeout: float | None = None) -> list[Any]: ...

class Operation:
    """Something that was begun and will have one outcome."""

    @staticmethod
    def manual() -> Operation: ...
    def set(self) -> None: ...
    def done(self) -> bool: ...
    def result(self) -> Any: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def arm(self, mailbox: Mailbox, target: Any) -> None: ...
    def cancel(self) -> None: ...

class Events:
    """What has happened, in its order: tuples that begin with their kind.

    - `("response", "host:port", data)`
    - `("error", "host:port", exception)`
    - `("auth", "host:port", {"identity": ..., "identity_url": ..., "permission_count": ...})`
    - `("heartbeat", "host:port")`
    - `("message", timestamp, attempts, id, body)`
    - `("end", exception or None)`, the last one
    """

    def pop(self) -> tuple[Any, ...] | None: ...
    def take(self) -> list[tuple[Any, ...]]: ...
    def missed(self) -> int: ...
    def forget_heartbeat(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def arm(self, mailbox: Mailbox, target: Any) -> None: ...

class TlsOptions:
    def __init__(
        self,
        *,
        ca_file: str | None = None,
        ca_pem: bytes | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        server_hostname: str | None = None,
        verify: bool = True,
        min_version: str | None = None,
    ) -> None: ...

class ConnectionOptions:
    def __init__(
        self,
        *,
        user_agent: str,
        timeout: float,
        client_id: str | None = None,
        hostname: str | None = None,
        heartbeat_interval: float | None = None,
        output_buffer_size: int | None = None,
        output_buffer_timeout: float | None = None,
        tls: TlsOptions | None = None,
        snappy: bool = False,
        deflate_level: int | None = None,
        sample_rate: int = 0,
        auth_secret: bytes | None = None,
        msg_timeout: float | None = None,
    ) -> None: ...

def after_fork_in_child() -> None: ...
def release_threads(timeout: float) -> None: ...
