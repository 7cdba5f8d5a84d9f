"""A version's files, straight from the artifact proxy of an MLflow server: one listing, one request a file.

MLflow's own client asks several times as often, and every question waits for the server's one worker.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from data_contracts.errors import RegistryError
from registry.mlflow_rest import MlflowRest

_ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
_DEPTH_MAX: Final = 8


class _Entry(msgspec.Struct, frozen=True):
    path: str
    is_dir: bool = False


class _Listing(msgspec.Struct, frozen=True):
    files: tuple[_Entry, ...] = ()


def served_path(artifact_uri: str) -> str | None:
    """Return the path inside the server's own artifact proxy; None where the files lie elsewhere (s3, a folder)."""
    parts = urlsplit(artifact_uri)
    return parts.path.strip("/") if parts.scheme == "mlflow-artifacts" and not parts.netloc else None


def copy_files(rest: MlflowRest, path: str, folder: Path, missing: RegistryError) -> int:
    """Copy everything under `path` of the proxy into `folder`, made where absent; return how many files.

    Raises:
        RegistryError: `missing` where one of them is gone; a name that points out of the folder; or as MlflowRest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for name in _names(rest, path, "", missing, _DEPTH_MAX):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        rest.download(f"{_ARTIFACTS}/{quote(f'{path}/{name}')}", target, missing)
        count += 1
    return count


def _names(rest: MlflowRest, path: str, inside: str, missing: RegistryError, depth: int) -> Iterator[str]:
    where = f"{path}/{inside}".rstrip("/")
    content = rest.read(f"{_ARTIFACTS}?{urlencode({'path': where})}", missing)
    try:
        listing = msgspec.json.decode(content, type=_Listing)
    except msgspec.DecodeError as error:
        raise RegistryError(f"MLflow's artifacts under {where}: not a listing: {error}") from None
    for entry in listing.files:
        name = PurePosixPath(entry.path).name
        if entry.path != name or name in ("", ".", ".."):
            raise RegistryError(f"MLflow's artifacts under {where}: expected plain names, got {entry.path!r}")
        place = f"{inside}/{name}".lstrip("/")
        if not entry.is_dir:
            yield place
        elif depth:
            yield from _names(rest, path, place, missing, depth - 1)
