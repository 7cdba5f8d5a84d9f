"""A Prefect server of one's own: schedules fire only where one runs."""

import sys
from pathlib import Path
from typing import Final

from ringcraft.local_server import LocalServer
from ringcraft.ports import HOST

LOG_FILE: Final = "server.log"
_STOP_LIMIT_S: Final = 2.0
"""It keeps everything in SQLite and waits for connections to end, its runner's among them."""
# The services that watch schedules are what this server is for, whatever was inherited: the package `pipelines` turns
# them off for the throw-away server that Prefect starts by itself.
_ENVIRONMENT: Final = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


class PrefectServer(LocalServer):
    """`prefect server start` on loopback, its files in `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        """Choose folder and port."""
        # What a flow's process needs to find this server; the server itself keeps its files by the same words.
        self.environment = {"PREFECT_HOME": str(folder.resolve()), "PREFECT_API_URL": f"http://{HOST}:{port}/api"}
        super().__init__(
            [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)],
            name="prefect server",
            port=port,
            health="/api/health",
            log=folder / LOG_FILE,
            environment={**_ENVIRONMENT, **self.environment},
            stop_limit_s=_STOP_LIMIT_S,
        )
