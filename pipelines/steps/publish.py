"""Registering a version's folder, once."""

from pathlib import Path
from typing import Final, NamedTuple

from data_contracts.errors import ModelNotFoundError
from data_contracts.manifest import Manifest, verify_files
from registry.port import ModelRegistry

BUILD_TAG: Final = "ringcraft.build"
"""On a version: the key of the run that made it (pipelines.identity)."""


DESPITE_TAG: Final = "ringcraft.despite"
"""On a version that lacks its proof or was refused: why it was published all the same."""


class Published(NamedTuple):
    """A version, whether it was registered just now, and the run in MLflow that it belongs to."""

    version: int
    new: bool
    run_id: str | None = None


def publish(registry: ModelRegistry, folder: Path, *, run_id: str | None = None) -> int:
    """Register the files in `folder` as the next version of the model its manifest names; return the version.

    Raises:
        ManifestError: a file is not the one the manifest states.
        RegistryError: the registry refuses or cannot be reached.
    """
    manifest = verify_files(folder)
    return registry.publish(manifest.model, folder, tags=tags_of(manifest), run_id=run_id)


def publish_once(
    registry: ModelRegistry, folder: Path, *, build: str, run_id: str | None = None, despite: str | None = None
) -> Published:
    """Register `folder` unless a version of the same build is there already: a flow killed at any point starts again.

    The registry makes a version and its tags in one step, so that none is ever without its build.

    Raises:
        ManifestError: a file is not the one the manifest states.
        RegistryError: the registry refuses or cannot be reached.
    """
    manifest = verify_files(folder)
    found = published(registry, manifest.model, build)
    if found is not None:
        return Published(found, new=False, run_id=registry.version(manifest.model, found).run_id)
    tags = tags_of(manifest) | {BUILD_TAG: build} | ({DESPITE_TAG: despite} if despite else {})
    return Published(registry.publish(manifest.model, folder, tags=tags, run_id=run_id), new=True, run_id=run_id)


def published(registry: ModelRegistry, model: str, build: str) -> int | None:
    """Return the newest version that the run `build` made, None where there is none."""
    try:
        versions = registry.versions(model)
    except ModelNotFoundError:
        return None
    return max((each.version for each in versions if each.tags.get(BUILD_TAG) == build), default=None)


def tags_of(manifest: Manifest) -> dict[str, str]:
    """Return what a version shows in the registry's list without its files being opened."""
    return {
        "ringcraft.family": manifest.family,
        "ringcraft.feature_set": manifest.feature_set,
        "ringcraft.feature_hash": manifest.feature_hash,
        "ringcraft.horizon_ns": str(manifest.label.horizon_ns),
        "ringcraft.source_commit": manifest.source_commit,
    }
