"""Child processes that end in order when told to, and that a killed parent takes with it."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

STOP_LIMIT_S: Final = 10.0
"""From the request to end to the end being forced; everything started here takes under five."""
_PR_SET_PDEATHSIG: Final = 1


class Child:
    """One program in a session of its own: Ctrl-C reaches its parent alone, which then ends its children in order.

    It gets SIGTERM when its parent dies, even a killed one; Linux ties that to the thread that called `start()`, so
    call it from one that lives as long as the child is wanted. What the child itself starts is the child's to end.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        log: Path | None = None,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stop_limit_s: float = STOP_LIMIT_S,
    ) -> None:
        """Say what to run; nothing is started yet.

        Args:
            command: program and arguments.
            name: for messages.
            log: gets stdout and stderr, appended; None: they stay this process's.
            cwd: where it runs; None: where this process does.
            environment: on top of this process's own.
            stop_limit_s: longest time from being asked to end to being killed.
        """
        self.name = name
        self._command, self._log, self._cwd = list(command), log, cwd
        self._stop_limit_s = stop_limit_s
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id, between start and stop."""
        if self._process is None:
            raise RuntimeError(f"{self.name}: expected it to be started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs and before it is started."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start it without waiting for anything."""
        log = self._log.open("ab") if self._log is not None else None
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._cwd,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        finally:
            if log is not None:
                log.close()

    def stop(self) -> None:
        """Ask it to end, make it after a while, and leave nothing of its session behind."""
        process, self._process = self._process, None
        if process is None:
            return
        # Only the leader is asked: it ends its own children in its own order.
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(self._stop_limit_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def own_command(name: str, config: Path | None) -> list[str]:
    """Return the command line of `ringcraft name --config config` in this same environment."""
    return [sys.executable, "-m", "ringcraft.cli", name, *(["--config", str(config)] if config else [])]


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the tie held
            os._exit(1)

    return tie
