"""The serving tier as the demonstration starts it: its own settings file, its own processes, its own ports."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

from data_contracts.errors import RingcraftError
from data_contracts.settings import MlflowSettings, ServingSettings

CONFIG_FILE = "ringcraft.toml"


_HELD: list[IO[str]] = []
"""Locks on ports, kept until this process ends."""


def free_port(preferred: int, host: str = "127.0.0.1") -> int:
    """Return `preferred` where nobody listens on it, else a free port.

    Seconds pass until a server listens there, and a second demonstration begun meanwhile would take the first one's
    servers for its own; so the port is also held by a lock that other demonstrations of this user respect.
    """
    for port in (preferred, *[0] * 8):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
        if _hold(chosen):
            return chosen
    raise RingcraftError(f"no free port on {host}, instead of {preferred}")


def _hold(port: int) -> bool:
    lock = (Path(tempfile.gettempdir()) / f"ringcraft-{os.getuid()}-{port}.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _HELD.append(lock)
    return True


def write_config(work: Path, *, model: str, instrument: str, mlflow_uri: str) -> tuple[Path, str]:
    """Write the settings by which the demonstration, and later `ringcraft up`, run; return file and console address."""
    serving = ServingSettings()
    console = free_port(serving.console_port)
    lines = [
        "# Written by `ringcraft demo`. To look around later: ringcraft up --config " + str(work / CONFIG_FILE),
        f'state_dir = "{work / "state"}"',
        "",
        "[mlflow]",
        f'uri = "{mlflow_uri}"',
        f'experiment = "{MlflowSettings().experiment}"',
        f'folder = "{work / "mlflow"}"',
        "",
        "[serving]",
        f"feed_port = {free_port(serving.feed_port)}",
        f"console_port = {console}",
        "registry_poll_ms = 250",
        f'policy = "{work / "policy.toml"}"',
        "",
        "[[serving.models]]",
        f'name = "{model}"',
        f'instruments = ["{instrument}"]',
        "",
    ]
    path = work / CONFIG_FILE
    path.write_text("\n".join(lines))
    return path, f"http://{serving.host}:{console}"


class Tier:
    """`ringcraft serve` as a child; ends with the block, its journal complete."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config, self._log = config, log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Tier":
        command = [sys.executable, "-m", "ringcraft.cli", "serve", "--config", str(self._config)]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches the demonstration alone, which then stops the tier in order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether the supervisor still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ask the tier to end, and make it after fifteen seconds."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=15.0)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
