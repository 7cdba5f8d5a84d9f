"""kill -9 of a process that runs a flow takes the server with it that Prefect started for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from support.cli import ROOT, about, environment, wait_for

_STARTS = """
from pipelines.temporary_server import tie_temporary_server
tie_temporary_server()
from prefect.server.api.server import SubprocessASGIServer
SubprocessASGIServer().start()
"""


def test_the_temporary_server_ends_with_a_killed_process(tmp_path: Path) -> None:
    home = tmp_path / "prefect"
    home.mkdir()
    environ = environment(PREFECT_HOME=str(home)) | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", _STARTS], cwd=tmp_path, env=environ)

    def servers() -> list[int]:
        return [
            pid
            for pid, command in about(tmp_path).items()
            if "prefect.server.api" in command and "uvicorn" in command and pid != process.pid
        ]

    # Killed as soon as there is one: test_killed has one that answers already.
    wait_for(servers, "Prefect's server")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    end = time.monotonic() + 10
    while about(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    left = about(tmp_path)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == {}
