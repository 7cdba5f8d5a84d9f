"""Where the tier's shared memory and state lie."""

import hashlib
from pathlib import Path
from typing import Final

_SHARED: Final = Path("/dev/shm")  # noqa: S108  shared memory is the point
ROUTING: Final = "routing.shm"


def path(state_dir: Path, name: str) -> Path:
    """Return the path of the shared-memory file `name` of the tier whose state is in `state_dir`.

    It lies in memory where the system offers that, else in the state folder itself.
    """
    resolved = state_dir.resolve()
    if not _SHARED.is_dir():
        return resolved / name
    return _SHARED / f"ringcraft-{hashlib.sha256(str(resolved).encode()).hexdigest()[:16]}-{name}"


def rings(worker: str) -> str:
    """Return the name of a worker's journal rings, for path()."""
    return f"{worker}.rings.shm"


def decisions(worker: str) -> str:
    """Return the name of the bus that tells of a worker's decisions, for path()."""
    return f"{worker}.decisions.shm"


def door(worker: str) -> str:
    """Return the name of a worker's shared-memory door, for path()."""
    return f"{worker}.door.shm"


def of_worker(worker: str) -> tuple[str, ...]:
    """Return the names of everything that a worker shares, for path()."""
    return rings(worker), decisions(worker), door(worker), f"{door(worker)}.bell"


def journal_folder(state_dir: Path, worker: str) -> Path:
    """Return the folder of a worker's journal segments."""
    return state_dir / "journal" / worker
