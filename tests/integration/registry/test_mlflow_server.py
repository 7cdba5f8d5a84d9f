"""The server lives exactly as long as it is wanted."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from data_contracts.errors import MissingDependencyError, UsageError
from ringcraft.mlflow_server import MlflowServer


def answers(uri: str) -> bool:
    try:
        return httpx.get(f"{uri}/health", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.slow
def test_server_dies_with_a_killed_parent(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from ringcraft.mlflow_server import MlflowServer\n"
        "with MlflowServer(Path(sys.argv[1])) as server: print(server.uri, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    uri = parent.stdout.readline().strip()
    assert answers(uri)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 10
    while answers(uri) and time.monotonic() < end:
        time.sleep(0.1)
    assert not answers(uri)


def test_taken_port_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}"):
            MlflowServer(tmp_path, port=port).start()


def test_server_that_is_late_is_stopped_and_says_where_to_look(tmp_path: Path) -> None:
    server = MlflowServer(tmp_path)
    server.start()
    with pytest.raises(MissingDependencyError, match=r"0\.2 s.*mlflow\.log"):
        server.wait_ready(0.2)
    server.start()  # the port is free again
    server.stop()


def test_address_is_known_before_the_start(tmp_path: Path) -> None:
    assert MlflowServer(tmp_path, port=5001).uri == "http://127.0.0.1:5001"
    assert MlflowServer(tmp_path).uri != "http://127.0.0.1:0"
