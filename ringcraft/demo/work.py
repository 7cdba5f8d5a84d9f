"""The demonstration's folder."""

import shutil
from pathlib import Path

from data_contracts.errors import UsageError

_MARKER = ".demo"


def fresh(work: Path) -> Path:
    """Return `work`, absolute, made or emptied; only a folder that a demonstration made is ever emptied.

    Raises:
        UsageError: it holds something else.
    """
    if work.exists() and (not work.is_dir() or any(work.iterdir())):
        if not (work / _MARKER).exists():
            raise UsageError(f"--work {work}: expected an empty folder or an earlier demonstration's")
        try:
            shutil.rmtree(work)
        except OSError as error:
            (work / _MARKER).touch()  # still ours
            raise UsageError(
                f"--work {work}: cannot be emptied, is a demonstration still running in it? ({error})"
            ) from None
    work.mkdir(parents=True, exist_ok=True)
    (work / _MARKER).touch()
    return work.resolve()
