"""Loopback ports: which are free, and one clear line where one is not."""

import socket
from typing import Final

from data_contracts.errors import UsageError
from data_contracts.settings import ServingSettings

HOST: Final = "127.0.0.1"


def free_port(preferred: int = 0, host: str = HOST) -> int:
    """Return `preferred` where nobody listens on it, else a free port."""
    for port in (preferred, 0):
        taken = _bind(host, port)
        if isinstance(taken, int):
            return taken
    raise AssertionError("binding port 0 cannot be refused")


def must_be_free(what: str, port: int, host: str = HOST) -> None:
    """Return where `port` can be listened on; 0 always can.

    Raises:
        UsageError: it is taken, or not this user's to take; names `what` wanted it.
    """
    taken = _bind(host, port)
    if isinstance(taken, OSError):
        raise UsageError(f"{what}: port {port} on {host}: expected a free one, got: {taken.strerror or taken}")


def serving_ports_must_be_free(serving: ServingSettings) -> None:
    """Return where the tier's feed and console can listen.

    Raises:
        UsageError: one of them is taken.
    """
    must_be_free("serving.feed_port", serving.feed_port, serving.host)
    must_be_free("serving.console_port", serving.console_port, serving.host)


def _bind(host: str, port: int) -> int | OSError:
    with socket.socket() as probe:
        # As servers do: a connection that has just ended is no hindrance, another listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:  # also a host that is none of this machine's
            return error
        chosen: int = probe.getsockname()[1]
        return chosen
