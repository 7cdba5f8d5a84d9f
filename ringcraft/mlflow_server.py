"""An MLflow server of one's own, started and stopped with the work that needs it."""

import sys
import time
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import urllib3

from data_contracts.errors import MissingDependencyError
from ringcraft.child import Child
from ringcraft.ports import HOST, free_port, must_be_free

LOG_FILE: Final = "mlflow.log"
START_LIMIT_S: Final = 60.0
"""Measured: 6 to 8 s on an idle core, most of it MLflow importing itself twice; 14 s with cold files."""
_STOP_LIMIT_S: Final = 3.0
_ENVIRONMENT: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven processes nobody here gives work to
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


class MlflowServer:
    """`mlflow server` over SQLite and a folder of artifacts, on loopback.

    As a context manager it is ready inside the block. `start()` and `wait_ready()` apart let other work go on while it
    starts. It dies with its parent, even a killed one: MLflow passes the SIGTERM it then gets on to its own child.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        """Choose folder and port.

        Args:
            folder: made if absent; keeps mlflow.db, artifacts/ and mlflow.log.
            port: 0 picks a free one now, so that `uri` is known at once.
        """
        self._folder = folder
        self._port = port or free_port()
        self._child: Child | None = None

    @property
    def uri(self) -> str:
        """Address for clients and for the browser."""
        return f"http://{HOST}:{self._port}"

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self._folder / LOG_FILE

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start the server without waiting for it.

        Raises:
            MissingDependencyError: mlflow with its server is not installed.
            UsageError: the port is taken; another server there would be mistaken for this one.
        """
        _must_be_installed()
        must_be_free("mlflow server", self._port)
        (self._folder / "artifacts").mkdir(parents=True, exist_ok=True)
        command = _command(self._folder.resolve(), self._port)
        self._child = Child(
            command,
            name="mlflow server",
            log=self.log,
            cwd=self._folder,
            environment=_ENVIRONMENT,
            stop_limit_s=_STOP_LIMIT_S,
        )
        self._child.start()

    def wait_ready(self, limit_s: float = START_LIMIT_S) -> None:
        """Return once the server answers; stop it and raise where it does not.

        Raises:
            MissingDependencyError: it ended, or did not answer within `limit_s`; names the log.
        """
        end = time.monotonic() + limit_s
        with urllib3.PoolManager(retries=False, timeout=1.0) as pool:
            while not self._answers(pool):
                ended = not self.alive
                if ended or time.monotonic() > end:
                    self.stop()
                    what = "ended while starting" if ended else f"did not answer within {limit_s:g} s"
                    raise MissingDependencyError(f"mlflow server at {self.uri} {what}; see {self.log}")
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and every process it started."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()

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

    def _answers(self, pool: urllib3.PoolManager) -> bool:
        try:
            return pool.request("GET", f"{self.uri}/health").status == 200
        except urllib3.exceptions.HTTPError:
            return False


def _command(folder: Path, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
        "--uvicorn-opts=--no-access-log",  # a poll twice a second is no news
    ]


def _must_be_installed() -> None:
    # Asked of the distribution: mlflow-skinny is a package of the same name without a server.
    try:
        metadata.version("mlflow")
    except metadata.PackageNotFoundError:
        raise MissingDependencyError(
            "mlflow server: expected the package mlflow, found none; pip install mlflow"
        ) from None
