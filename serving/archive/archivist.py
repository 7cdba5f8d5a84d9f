"""Has the journal archived now and then, in a process of its own that gives way to everything else."""

import os
import subprocess
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import structlog

log = structlog.get_logger()

FIRST_S: Final = 300.0
"""After the start: a tier that starts has better things to do."""
_LIMIT_S: Final = 3600.0


class Archivist:
    """A thread that runs the command, waits, and runs it again."""

    def __init__(self, command: Sequence[str], *, every_s: float, first_s: float = FIRST_S) -> None:
        """Prepare.

        Args:
            command: what archives; exit code 0 where it is done.
            every_s: from one run to the next.
            first_s: from the start to the first.
        """
        self._command, self._every_s, self._first_s = list(command), every_s, min(first_s, every_s)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archivist", daemon=True)
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and a run under way: the next goes on where it was."""
        self._stop.set()
        child = self._child
        if child is not None:
            child.terminate()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        wait_s = self._first_s
        while not self._stop.wait(wait_s):
            wait_s = self._every_s
            try:
                self._archive()
            except OSError as error:
                log.error("archive_failed", error=str(error))

    def _archive(self) -> None:
        self._child = subprocess.Popen(
            ["nice", *self._command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        try:
            said, _ = self._child.communicate(timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            said, _ = self._child.communicate()
        code, self._child = self._child.returncode, None
        if not self._stop.is_set():
            (log.info if code == 0 else log.error)("archived", exit_code=code, said=said.strip()[-1000:])
