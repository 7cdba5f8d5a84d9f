"""A real VictoriaMetrics, in a folder and on a port of its own: a second receiver of line protocol."""

import json
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from support.influxdb3 import wait_for_port


class VictoriaMetrics:
    """One server; `stop` and `start` take it away and bring it back with what it kept."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("victoria-metrics")
        if program is None:
            pytest.skip("VictoriaMetrics is not installed: `make test` as root installs it, or apt-get install it")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        self._command = [program, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{self.port}",
                         "-retentionPeriod=100y", "-memory.allowedBytes=64MB"]  # fmt: skip
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> "VictoriaMetrics":
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_for_port(self.port, self._child)
        return self

    def stop(self) -> None:
        if self._child:
            self._child.terminate()
            self._child.wait(30)
            self._child = None

    def series(self, name: str) -> list[tuple[dict[str, str], list[int], list[float]]]:
        """Return labels, milliseconds and values of every series of a name."""
        urlopen(f"{self.url}/internal/force_flush").close()
        with urlopen(f"{self.url}/api/v1/export?match[]={name}") as answer:
            lines = [json.loads(line) for line in answer.read().splitlines()]
        return [(line["metric"], line["timestamps"], line["values"]) for line in lines]
