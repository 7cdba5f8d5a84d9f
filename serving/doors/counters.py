"""What a door that is a process of its own has counted, stated for /metrics in doors/<name>.counters.json."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from serving.doors.keys import Cause, KeyRefusedError

_STATE_S: Final = 0.5

log = structlog.get_logger()


class Counted(Struct, frozen=True, kw_only=True):
    """Since the door's process began."""

    requests: int = 0
    """Calls and messages, and connections that were refused."""
    failed: int = 0
    """Of them, bad ones and those that no worker answered."""
    refused: dict[Cause, int] = {}
    """Of them, by what refused them."""
    missed: int = 0
    """Decisions that subscribers were told to have missed."""


class Counters:
    """Counts at one door; any thread may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._failed = self._missed = 0
        self._refused: dict[Cause, int] = {"unauthenticated": 0, "permission_denied": 0, "rate": 0, "in_flight": 0}

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count what is done within as one request, and how it ends; what it raises goes on."""
        with self._lock:
            self._requests += 1
        try:
            yield
        except KeyRefusedError as error:
            with self._lock:
                self._refused[error.cause] += 1
            raise
        except Exception:
            with self._lock:
                self._failed += 1
            raise

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Count a connection that is refused as a request that was; one that is not is none yet."""
        try:
            yield
        except KeyRefusedError as error:
            with self._lock:
                self._requests += 1
                self._refused[error.cause] += 1
            raise

    def missed(self, decisions: int) -> None:
        """Count decisions that a subscriber was told to have missed."""
        with self._lock:
            self._missed += decisions

    def now(self) -> Counted:
        """Return what is counted so far."""
        with self._lock:
            refused = dict(self._refused)
            return Counted(requests=self._requests, failed=self._failed, refused=refused, missed=self._missed)


def counters_path(state_dir: Path, door: str) -> Path:
    """Return the file."""
    return state_dir / "doors" / f"{door}.counters.json"


def read_counters(state_dir: Path, door: str) -> Counted | None:
    """Return what a door has counted; None where it states nothing."""
    try:
        return msgspec.json.decode(counters_path(state_dir, door).read_bytes(), type=Counted)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


@contextmanager
def stating(counters: Counters, state_dir: Path, door: str) -> Iterator[None]:
    """State the counters within, twice a second where they changed; nothing is left behind."""
    path, ended = counters_path(state_dir, door), threading.Event()
    path.parent.mkdir(parents=True, exist_ok=True)
    thread = threading.Thread(target=_state, args=(path, counters.now, ended), name="counters")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        path.unlink(missing_ok=True)


def _state(path: Path, now: Callable[[], Counted], ended: threading.Event) -> None:
    stated: Counted | None = None
    part = path.with_suffix(".part")
    while True:
        if (counted := now()) != stated:
            try:
                part.write_bytes(msgspec.json.encode(counted))
                part.replace(path)
                stated = counted
            except OSError as error:  # a full disk stops no door, and may be emptied
                log.warning("counters_not_stated", file=str(path), reason=error.strerror or str(error))
        if ended.wait(_STATE_S):
            return
