"""The supervisor: starts worker, controller and doors side by side, starts a dead one again, leaves nothing behind."""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final

import msgspec
import structlog

from data_contracts.errors import UsageError
from data_contracts.settings import Settings
from native._native import drain_ring
from serving import shared_memory
from serving.doors.ports import ports_path
from serving.lineup import STATUS_FILE, WorkerStatus, read_whole

SUPERVISOR_FILE: Final = "supervisor.json"
CONSOLE_FILE: Final = "controller.json"
"""Where the controller states its port: {"console_port": n}."""
WORKER: Final = "worker-0"
CONTROLLER: Final = "controller"
_DOOR: Final = "door-"
_LOCK_FILE: Final = ".supervisor.lock"
_POLL_S: Final = 0.05
_STOP_S: Final = 4.0
_BACKOFF_FIRST_S: Final = 0.2
_BACKOFF_MAX_S: Final = 5.0
_HEALTHY_S: Final = 10.0

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)

log = structlog.get_logger()


class SupervisorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What supervisor.json says."""

    pid: int
    pids: dict[str, int]
    """Children by name; only those that run."""
    restarts: dict[str, int]
    feed_port: int
    """0: not known yet."""
    console_port: int
    console_url: str


@dataclass
class Child:
    """One child process and how often it had to be started."""

    name: str
    command: list[str]
    before_restart: Callable[[], object] = lambda: None
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    started_at: float = 0.0
    start_due: float = 0.0
    backoff_s: float = field(default=_BACKOFF_FIRST_S)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def turn(self, now: float) -> None:
        """Start it where it is due; where it died, say so and set when it is due again."""
        if self.process is None:
            if now >= self.start_due:
                # Between fork and exec only a system call is made, and this process has one thread.
                self.process = subprocess.Popen(self.command, preexec_fn=_die_with_parent)
                self.started_at = now
                log.info("child_started", child=self.name, pid=self.process.pid, restarts=self.restarts)
        elif self.process.poll() is not None:
            self._died(now)

    def _died(self, now: float) -> None:
        assert self.process is not None  # noqa: S101  turn() looked
        log.warning("child_died", child=self.name, pid=self.process.pid, code=self.process.returncode)
        self.process = None
        self.before_restart()
        self.restarts += 1
        self.backoff_s = _BACKOFF_FIRST_S if now - self.started_at > _HEALTHY_S else self.backoff_s * 2
        self.start_due = now + min(self.backoff_s, _BACKOFF_MAX_S)


class Supervisor:
    """Worker, controller and doors, each other's siblings."""

    def __init__(self, settings: Settings, commands: dict[str, list[str]]) -> None:
        self._state_dir = settings.state_dir.resolve()
        self._settings = settings
        self._started_ns = time.time_ns()
        self._written: SupervisorStatus | None = None
        self.children = [Child(name, command) for name, command in commands.items()]
        for child in self.children:
            if child.name == WORKER:
                child.before_restart = self._drain
            elif child.name.startswith(_DOOR):
                child.before_restart = partial(self._forget_ports, child.name.removeprefix(_DOOR))

    def run(self, stop: Event) -> None:
        """Keep the children running until `stop`; then stop them all.

        Raises:
            UsageError: the state folder cannot be written, or another tier runs on it.
        """
        with _only_one(self._state_dir):
            self._run(stop)

    def _run(self, stop: Event) -> None:
        try:
            while not stop.wait(_POLL_S):
                for child in self.children:
                    child.turn(time.monotonic())
                self._write_status()
        finally:
            self._stop_children()
            self._clean_up()

    def _drain(self) -> bool:
        """Write what a dead worker left in its rings; whether nothing is left."""
        rings = shared_memory.path(self._state_dir, shared_memory.rings(WORKER))
        if not rings.exists():
            return True
        try:
            written = drain_ring(str(rings), str(shared_memory.journal_folder(self._state_dir, WORKER)))
        except RuntimeError as error:
            log.error("drain_failed", rings=str(rings), reason=str(error))
            return False
        log.info("rings_drained", records=written)
        return True

    def _forget_ports(self, door: str) -> None:
        """Take away where a dead door said it listens, so that nobody is sent there."""
        ports_path(self._state_dir, door).unlink(missing_ok=True)

    def _write_status(self) -> None:
        console_port = self._console_port()
        status = SupervisorStatus(
            pid=os.getpid(),
            pids={child.name: child.process.pid for child in self.children if child.process and child.alive},
            restarts={child.name: child.restarts for child in self.children},
            feed_port=self._feed_port(),
            console_port=console_port,
            console_url=f"{self._settings.serving.console_url(console_port)}/" if console_port else "",
        )
        if status == self._written:
            return
        part = self._state_dir / f".{SUPERVISOR_FILE}"
        part.write_bytes(msgspec.json.encode(status))
        part.replace(self._state_dir / SUPERVISOR_FILE)
        self._written = status

    def _feed_port(self) -> int:
        try:
            status = read_whole(self._state_dir / WORKER / STATUS_FILE, WorkerStatus)
        except msgspec.DecodeError:
            return 0
        return status.feed_port if status and status.written_ns >= self._started_ns else 0

    def _console_port(self) -> int:
        if self._settings.serving.console_port:
            return self._settings.serving.console_port
        path = self._state_dir / CONSOLE_FILE
        try:
            if path.stat().st_mtime_ns < self._started_ns:
                return 0  # an earlier run's
            return int(msgspec.json.decode(path.read_bytes(), type=dict[str, int | str]).get("console_port", 0))
        except (OSError, msgspec.DecodeError, ValueError):
            return 0

    def _stop_children(self) -> None:
        for child in self.children:
            if child.process is not None and child.alive:
                child.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + _STOP_S
        for child in self.children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("child_killed", child=child.name, pid=child.process.pid)
                child.process.kill()
                child.process.wait()
            log.info("child_stopped", child=child.name, code=child.process.returncode)

    def _clean_up(self) -> None:
        """Take the shared memory away, unless something in it is not in the journal yet."""
        if self._drain():
            for name in (shared_memory.ROUTING, *shared_memory.of_worker(WORKER)):
                shared_memory.path(self._state_dir, name).unlink(missing_ok=True)
        (self._state_dir / SUPERVISOR_FILE).unlink(missing_ok=True)


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    # Two tiers on one folder would take each other's shared memory away. The lock goes with its holder, a killed one
    # too.
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / _LOCK_FILE).open("ab")
    except OSError as error:
        raise UsageError(f"state_dir {state_dir}: expected a folder to write to, got: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"state_dir {state_dir}: expected no other tier on it, got one that runs") from None
        yield


def _die_with_parent() -> None:
    # A supervisor that is killed takes its children with it: nothing trades unwatched.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def child_commands(config: Path | None, doors: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the command of each child; `config` is handed on."""
    arguments = [] if config is None else ["--config", str(config)]
    python = sys.executable
    return {
        CONTROLLER: [python, "-m", "ringcraft.processes.controller", *arguments],
        WORKER: [python, "-m", "ringcraft.processes.worker", *arguments],
        **{f"{_DOOR}{name}": [python, "-m", f"ringcraft.processes.{name}_door", *arguments] for name in doors},
    }
