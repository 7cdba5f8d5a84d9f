"""Registering a version's folder."""

from pathlib import Path

from data_contracts.manifest import Manifest, verify_files
from registry.port import ModelRegistry


def publish(registry: ModelRegistry, folder: Path, *, run_id: str | None = None) -> int:
    """Register the files in `folder` as the next version of the model its manifest names; return the version.

    Raises:
        ManifestError: a file is not the one the manifest states.
        RegistryError: the registry refuses or cannot be reached.
    """
    manifest = verify_files(folder)
    return registry.publish(manifest.model, folder, tags=tags_of(manifest), run_id=run_id)


def tags_of(manifest: Manifest) -> dict[str, str]:
    """Return what a version shows in the registry's list without its files being opened."""
    return {
        "ringcraft.family": manifest.family,
        "ringcraft.feature_set": manifest.feature_set,
        "ringcraft.feature_hash": manifest.feature_hash,
        "ringcraft.horizon_ns": str(manifest.label.horizon_ns),
        "ringcraft.source_commit": manifest.source_commit,
    }
