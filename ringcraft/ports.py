"""Loopback ports: which are free, and one clear line where one is not."""

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import IO, Final

from data_contracts.errors import MissingDependencyError, UsageError
from data_contracts.settings import ServingSettings

HOST: Final = "127.0.0.1"
_RESERVATIONS: Final[list[IO[str]]] = []
"""Locks on ports, kept until this process ends."""


def free_port(preferred: int = 0, host: str = HOST) -> int:
    """Return `preferred` where nobody listens on it, else a free port."""
    for port in (preferred, 0):
        taken = _bind(host, port)
        if isinstance(taken, int):
            return taken
    raise AssertionError("binding port 0 cannot be refused")


def reserve_port(preferred: int, host: str = HOST) -> int:
    """Return `preferred` where it is free and unreserved, else another port that is; it stays reserved by this process.

    Seconds pass until a server listens on its port, and a second demonstration begun meanwhile would take the first
    one's servers for its own; so a lock, which others of this user respect, holds the port from the start.
    """
    for wanted in (preferred, *[0] * 8):
        port = free_port(wanted, host)
        if _reserved(port):
            return port
    raise MissingDependencyError(f"no free port on {host} in place of {preferred}")


def _reserved(port: int) -> bool:
    lock = (Path(tempfile.gettempdir()) / f"ringcraft-{os.getuid()}-{port}.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _RESERVATIONS.append(lock)
    return True


def must_be_free(what: str, port: int, host: str = HOST) -> None:
    """Return where `port` can be listened on; 0 always can.

    Raises:
        UsageError: it is taken, or not this user's to take; names `what` wanted it.
    """
    taken = _bind(host, port)
    if isinstance(taken, OSError):
        raise UsageError(f"{what}: port {port} on {host}: expected a free one, got: {taken.strerror or taken}")


def serving_ports_must_be_free(serving: ServingSettings) -> None:
    """Return where the tier's feed, REST, console and other doors can listen.

    Raises:
        UsageError: one of them is taken.
    """
    must_be_free("serving.feed_port", serving.feed_port, serving.host)
    must_be_free("serving.rest_port", serving.rest_port, serving.host)
    must_be_free("serving.console_port", serving.console_port, serving.host)
    for door in serving.doors:
        must_be_free(f"serving.{door}_port", getattr(serving, f"{door}_port"), serving.host)


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
