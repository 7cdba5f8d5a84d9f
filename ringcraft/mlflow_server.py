"""An MLflow server of one's own, started and stopped with the work that needs it."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import urllib3

from data_contracts.errors import MissingDependencyError, UsageError

HOST: Final = "127.0.0.1"
LOG_FILE: Final = "mlflow.log"
START_LIMIT_S: Final = 60.0
"""Measured: 6 to 8 s on an idle core, most of it MLflow importing itself twice; 14 s with cold files."""
_STOP_LIMIT_S: Final = 5.0
_ENVIRONMENT: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven processes nobody here gives work to
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
_PR_SET_PDEATHSIG: Final = 1


class MlflowServer:
    """`mlflow server` over SQLite and a folder of artifacts, on loopback.

    As a context manager it is ready inside the block. `start()` and `wait_ready()` apart let other work go on while it
    starts. It dies with its parent, even a killed one; Linux ties that to the thread that called `start()`, so call it
    from one that lives as long as the server is wanted.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        """Choose folder and port.

        Args:
            folder: made if absent; keeps mlflow.db, artifacts/ and mlflow.log.
            port: 0 picks a free one now, so that `uri` is known at once.
        """
        self._folder = folder
        self._port = port or _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Address for clients and for the browser."""
        return f"http://{HOST}:{self._port}"

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self._folder / LOG_FILE

    def start(self) -> None:
        """Start the server without waiting for it.

        Raises:
            MissingDependencyError: mlflow with its server is not installed.
            UsageError: the port is taken; another server there would be mistaken for this one.
        """
        _must_be_installed()
        _must_be_free(self._port)
        (self._folder / "artifacts").mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                _command(self._folder.resolve(), self._port),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )

    def wait_ready(self, limit_s: float = START_LIMIT_S) -> None:
        """Return once the server answers; stop it and raise where it does not.

        Raises:
            MissingDependencyError: it ended, or did not answer within `limit_s`; names the log.
        """
        end = time.monotonic() + limit_s
        with urllib3.PoolManager(retries=False, timeout=1.0) as pool:
            while not self._answers(pool):
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > end:
                    self.stop()
                    what = "ended while starting" if ended else f"did not answer within {limit_s:g} s"
                    raise MissingDependencyError(f"mlflow server at {self.uri} {what}; see {self.log}")
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and every process it started."""
        process, self._process = self._process, None
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_LIMIT_S)
        # The leader may have gone before its children did.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()

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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _must_be_installed() -> None:
    # Asked of the distribution: mlflow-skinny is a package of the same name without a server.
    try:
        metadata.version("mlflow")
    except metadata.PackageNotFoundError:
        raise MissingDependencyError(
            "mlflow server: expected the package mlflow, found none; pip install mlflow"
        ) from None


def _must_be_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(f"mlflow server: port {port}: expected a free one, got: {error.strerror}") from None


def _die_with_parent() -> Callable[[], None] | None:
    # SIGTERM for the child when its parent dies; MLflow passes it on to its own child.
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the tie held
            os._exit(1)

    return tie


def _signal_group(leader: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)
