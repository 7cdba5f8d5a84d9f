"""A server of somebody else's making, on loopback, for as long as the work that needs it."""

import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from data_contracts.errors import MissingDependencyError
from ringcraft.child import Child
from ringcraft.ports import HOST, must_be_free

START_LIMIT_S: Final = 180.0
"""Measured, MLflow's, the slower one: 6 to 8 s on an idle core, 27 s on a busy machine, over 60 s at a load of 15.

One that ends while it starts is noticed at once."""


class LocalServer:
    """Ready inside the block of a `with`; `start()` and `wait_ready()` apart let other work go on meanwhile.

    It dies with its parent, even a killed one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        port: int,
        health: str,
        log: Path,
        environment: Mapping[str, str],
        stop_limit_s: float,
    ) -> None:
        """Say what to run; nothing is started yet.

        Args:
            command: program and arguments.
            name: for messages.
            port: it listens on.
            health: path that answers 200 once it is ready.
            log: gets what it writes; its folder is made, and is where it runs.
            environment: on top of this process's own.
            stop_limit_s: longest time from being asked to end to being killed.
        """
        self.name, self.port, self.log = name, port, log.resolve()
        self._health = health
        self._child = Child(
            command,
            name=name,
            log=self.log,
            cwd=self.log.parent,
            environment=environment,
            stop_limit_s=stop_limit_s,
        )

    @property
    def uri(self) -> str:
        """Address for clients and for the browser."""
        return f"http://{HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._child.alive

    def start(self) -> None:
        """Start the server without waiting for it.

        Raises:
            UsageError: the port is taken; another server there would be mistaken for this one.
        """
        must_be_free(self.name, self.port)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._child.start()

    def wait_ready(self, limit_s: float = START_LIMIT_S) -> None:
        """Return once the server answers; stop it and raise where it does not.

        Raises:
            MissingDependencyError: it ended, or did not answer within `limit_s`; names the log.
        """
        end = time.monotonic() + limit_s
        while not self._answers():
            ended = not self.alive
            if ended or time.monotonic() > end:
                self.stop()
                what = "ended while starting" if ended else f"did not answer within {limit_s:g} s"
                raise MissingDependencyError(f"{self.name} at {self.uri} {what}; see {self.log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and every process it started."""
        self._child.stop()

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}{self._health}", timeout=1.0) as reply:  # noqa: S310  loopback
                return bool(reply.status == 200)
        except OSError:
            return False
