"""A real PostgreSQL, in a folder and on a port of its own, for as long as a test needs it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_USER = "postgres"


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """One server; `stop` and `start` take it away and bring it back with what it kept."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._programs, self._data = programs, folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, _USER)
        self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", f"--username={_USER}", "-D", self._data)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._data}"
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", "-o", options, "-l", self._data / "log", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        as_user = ["runuser", "-u", _USER, "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self._programs / program), *map(str, arguments)]
        # Its output goes to a file: a server that inherits a pipe keeps it open.
        with (self._data.parent / "commands.log").open("ab") as out:
            done = subprocess.run(command, stdout=out, stderr=out, cwd="/")
        if done.returncode:
            said = (self._data.parent / "commands.log").read_text()
            raise RuntimeError(f"{program}: exit code {done.returncode}\n{said}")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server; skip where none is installed and it cannot be."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: make setup brings it")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: `make test` as root installs it, or apt-get install postgresql")
    # Outside pytest's folders: those are closed to the user that the server runs as.
    folder = Path("/tmp") / f"ringcraft-postgres-{os.getpid()}-{time.monotonic_ns()}"
    server = Postgres(folder, programs)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        if (server._data / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
