"""The environment that hftbacktest runs in: made on first use, since it needs an older numpy than everything else."""

import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from data_contracts.errors import MissingDependencyError

PINS: Final = ("hftbacktest==2.4.4", "numpy==2.2.6")
_MADE: Final = "ringcraft-pins.txt"


def python_of(root: Path, *, on_make: Callable[[str], None] = lambda _: None) -> Path:
    """Return the interpreter of the environment under `root`, which pip makes where it is not there yet.

    Args:
        root: folder of the environment; another process that makes it is waited for.
        on_make: told before it is made, since that takes a minute and needs a package index.

    Raises:
        MissingDependencyError: it could not be made; says why.
    """
    root.mkdir(parents=True, exist_ok=True)
    python, made = root / "bin" / "python", root / _MADE
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if python.is_file() and made.is_file() and made.read_text().split() == list(PINS):
            return python
        on_make(f"makes {root} with {', '.join(PINS)}")
        _run([sys.executable, "-m", "venv", "--clear", str(root)], "venv")
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS], "pip")
        made.write_text("\n".join(PINS) + "\n")
    return python


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise MissingDependencyError(f"hftbacktest's environment: {what} failed: {last}")
