"""A Prefect server of one's own: schedules fire only where one runs."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final

from data_contracts.errors import MissingDependencyError

START_LIMIT_S: Final = 60.0


class PrefectServer:
    """`prefect server start` on loopback, its files in `folder`; ends with the block."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder.resolve(), port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of its page."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a flow's process needs to find this server."""
        return {"PREFECT_HOME": str(self._folder), "PREFECT_API_URL": f"{self.url}/api"}

    def __enter__(self) -> "PrefectServer":
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _wait(self) -> None:
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                raise MissingDependencyError(f"prefect server ended while starting; see {self._folder / 'server.log'}")
            try:
                with urllib.request.urlopen(f"{self.url}/api/health", timeout=1.0) as reply:  # noqa: S310  loopback
                    if reply.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise MissingDependencyError(f"prefect server did not answer at {self.url} within {START_LIMIT_S:.0f} s")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=5.0)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
