"""A real Redis, in a folder and on a port of its own; `kill` and `start` take it away and bring it back empty."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from support.influxdb3 import wait_for_port


class RedisServer:
    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("Redis is not installed: `make test` as root installs it, or apt-get install redis-server")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._log = folder / "log"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
                         "--appendonly", "no"]  # fmt: skip
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> "RedisServer":
        with self._log.open("ab") as log:
            self.child = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_for_port(self.port, self.child)
        return self

    def kill(self) -> None:
        if self.child:
            self.child.kill()
            self.child.wait()
            self.child = None
