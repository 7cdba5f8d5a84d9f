"""An MLflow server of one's own, started and stopped with the work that needs it."""

import sys
from importlib import metadata
from pathlib import Path
from typing import Final

from data_contracts.errors import MissingDependencyError
from ringcraft.local_server import LocalServer
from ringcraft.ports import HOST, free_port

LOG_FILE: Final = "mlflow.log"
_STOP_LIMIT_S: Final = 3.0
_ENVIRONMENT: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven processes nobody here gives work to
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Its webhooks may call the console beside it; whoever reaches this server is on this machine already.
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "https,http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "DO_NOT_TRACK": "true",
}


class MlflowServer(LocalServer):
    """`mlflow server` over SQLite and a folder of artifacts, on loopback."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        """Choose folder and port.

        Args:
            folder: made if absent; keeps mlflow.db, artifacts/ and mlflow.log.
            port: 0 picks a free one now, so that `uri` is known at once.
        """
        chosen = port or free_port()
        super().__init__(
            _command(folder.resolve(), chosen),
            name="mlflow server",
            port=chosen,
            health="/health",
            log=folder / LOG_FILE,
            environment=_ENVIRONMENT,
            stop_limit_s=_STOP_LIMIT_S,
        )

    def start(self) -> None:
        """Start the server without waiting for it.

        Raises:
            MissingDependencyError: mlflow with its server is not installed.
            UsageError: the port is taken.
        """
        _must_be_installed()
        super().start()


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
