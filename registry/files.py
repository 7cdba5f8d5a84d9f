"""A version's files, in and out of folders."""

from collections.abc import Mapping
from pathlib import Path

from data_contracts.errors import UsageError


def read_files(folder: Path) -> dict[str, bytes]:
    """Return every file under `folder` by its path inside it, with / between parts.

    Raises:
        UsageError: no such folder, or nothing in it.
    """
    must_hold_files(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def must_hold_files(folder: Path) -> None:
    """Refuse a folder with nothing to publish.

    Raises:
        UsageError: no such folder, or no file in it.
    """
    if not any(path.is_file() for path in folder.rglob("*")):
        raise UsageError(f"{folder}: expected a folder with the version's files, found none")


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` under `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def empty_folder(folder: Path) -> None:
    """Make `folder` where it is absent.

    Raises:
        UsageError: something is in it already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"{folder}: expected an empty folder to fetch into, found files")
