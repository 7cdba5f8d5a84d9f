"""A Prefect server of one's own: schedules fire only where one runs."""

import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from data_contracts.errors import MissingDependencyError
from ringcraft.child import Child
from ringcraft.ports import HOST, must_be_free

LOG_FILE: Final = "server.log"
START_LIMIT_S: Final = 60.0
_STOP_LIMIT_S: Final = 2.0
"""It keeps everything in SQLite and waits for connections to end, its runner's among them."""
# The services that watch schedules are what this server is for, whatever was inherited: the package `pipelines` turns
# them off for the throw-away server that Prefect starts by itself.
_ENVIRONMENT: Final = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


class PrefectServer:
    """`prefect server start` on loopback, its files in `folder`; ends with the block, and with a killed parent."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder.resolve(), port
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
        self._child = Child(
            command,
            name="prefect server",
            log=self.log,
            environment={**_ENVIRONMENT, **self.environment},
            stop_limit_s=_STOP_LIMIT_S,
        )

    @property
    def url(self) -> str:
        """Address of its page."""
        return f"http://{HOST}:{self._port}"

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self._folder / LOG_FILE

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._child.alive

    @property
    def environment(self) -> dict[str, str]:
        """What a flow's process needs to find this server."""
        return {"PREFECT_HOME": str(self._folder), "PREFECT_API_URL": f"{self.url}/api"}

    def start(self) -> None:
        """Start the server without waiting for it.

        Raises:
            UsageError: the port is taken.
        """
        must_be_free("prefect_port", self._port)
        self._folder.mkdir(parents=True, exist_ok=True)
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
                raise MissingDependencyError(f"prefect server at {self.url} {what}; see {self.log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server."""
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
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/health", timeout=1.0) as reply:  # noqa: S310  loopback
                return bool(reply.status == 200)
        except OSError:
            return False
