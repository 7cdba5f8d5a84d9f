"""The server that Prefect starts by itself ends with the process that started it, however that ends.

Prefect stops it as Python exits, which a process that is killed never does: a server would stay behind with each.
"""

import os
import subprocess
import sys
import weakref
from typing import Any

from prefect.settings import PREFECT_API_URL, get_current_settings


def tie_temporary_server() -> None:
    """Have Prefect start its temporary server on a tether; no effect where it is told of a server to use."""
    if PREFECT_API_URL.value():
        return
    from prefect.server.api.server import SubprocessASGIServer  # 1 s, which only who starts it has to pay

    replaced: Any = SubprocessASGIServer  # Prefect has no setting for how it is started
    replaced._run_uvicorn_command = _started


def _started(started_by: Any) -> "subprocess.Popen[Any]":  # noqa: ANN401  Prefect's SubprocessASGIServer
    """Start the server on `started_by.port`; it ends once this process, or the answer, is gone."""
    reading, writing = os.pipe()
    of_server = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    asked = get_current_settings().to_environment_variables(exclude_unset=True)
    app = ["--factory", "prefect.server.api.server:create_app", "--lifespan", "on", "--log-level", "error"]
    address = ["--host", "127.0.0.1", "--port", str(started_by.port)]
    try:
        server = subprocess.Popen(
            [sys.executable, "-m", "pipelines.tether", str(reading), "uvicorn", *app, *address],
            env={**os.environ, **of_server, **asked},
            pass_fds=[reading],
        )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    weakref.finalize(server, os.close, writing).atexit = False  # at the end the kernel closes it
    return server
