"""The registry port: versions of a model, the aliases that point at them, the tags that answer in its UI."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from registry.swap import Swap


class ModelVersion(Struct, frozen=True, kw_only=True):
    """One immutable version as the registry knows it."""

    model: str
    version: int
    tags: dict[str, str]
    run_id: str | None
    """Run whose artifacts hold the version's files and evidence."""


class ModelLook(Struct, frozen=True, kw_only=True):
    """A registered model at one moment."""

    aliases: dict[str, int]
    tags: dict[str, str]
    """On the model itself."""


class ModelRegistry(Protocol):
    """Versions of models and the aliases that point at them.

    Every method may raise RegistryUnavailableError; a vendor's type or exception never crosses the port.
    """

    def models(self) -> list[str]:
        """Return the names of all registered models, sorted."""
        ...

    def versions(self, model: str) -> list[ModelVersion]:
        """Return the model's versions, oldest first.

        Raises:
            ModelNotFoundError: never registered.
        """
        ...

    def version(self, model: str, version: int) -> ModelVersion:
        """Return one version.

        Raises:
            VersionNotFoundError: it, or its model, was never registered or is deleted.
        """
        ...

    def aliases(self, model: str) -> dict[str, int]:
        """Return the model's whole alias map, alias -> version.

        Raises:
            ModelNotFoundError: never registered.
        """
        ...

    def model_tags(self, model: str) -> dict[str, str]:
        """Return the tags on the registered model itself.

        Raises:
            ModelNotFoundError: never registered.
        """
        ...

    def look(self, model: str) -> ModelLook:
        """Return aliases and tags of the model, read together.

        Raises:
            ModelNotFoundError: never registered.
        """
        ...

    def set_model_tags(self, model: str, tags: Mapping[str, str]) -> None:
        """Set or overwrite tags on the registered model itself.

        Raises:
            ModelNotFoundError: never registered.
        """
        ...

    def delete_model_tag(self, model: str, key: str) -> None:
        """Take a tag off the registered model itself; one that is not there is none to take off.

        Raises:
            ModelNotFoundError: never registered.
        """
        ...

    def resolve(self, model: str, alias: str) -> int:
        """Return the version holding `alias`.

        Raises:
            ModelNotFoundError: never registered.
            AliasNotSetError: no version holds it.
        """
        ...

    def move_alias(self, model: str, alias: str, version: int) -> int | None:
        """Point `alias` at `version`; return the version it held before.

        A rollback is this call with the returned version.

        Raises:
            VersionNotFoundError: `version` was never registered.
        """
        ...

    def delete_alias(self, model: str, alias: str) -> int | None:
        """Take `alias` away; return the version it held, None if there was none.

        Raises:
            ModelNotFoundError: never registered.
        """
        ...

    def swap_alias(self, model: str, alias: str, *, expected: Collection[int | None], target: int | None) -> Swap:
        """Make `alias` hold `target` (None: take it away) only if it holds one of `expected`; see registry.swap.

        Raises:
            ModelNotFoundError: never registered.
            VersionNotFoundError: `target` was never registered.
        """
        ...

    def set_version_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Set or overwrite tags on a version.

        Raises:
            VersionNotFoundError: `version` was never registered.
        """
        ...

    def publish(self, model: str, folder: Path, *, tags: Mapping[str, str], run_id: str | None = None) -> int:
        """Register the files in `folder` as the model's next version; return it.

        Args:
            model: created on first use.
            folder: model.onnx, manifest.json, golden vectors, card and plots.
            tags: set on the version.
            run_id: run that made it; its artifacts will hold the files. None: a run is made.
        """
        ...

    def fetch(self, model: str, version: int, folder: Path) -> None:
        """Copy the version's files into `folder` (made, must be empty or absent).

        Raises:
            VersionNotFoundError: `version` was never registered, or its files are gone.
        """
        ...

    def log_evidence(self, model: str, version: int, name: str, content: bytes) -> str:
        """Keep `content` beside the version as an artifact; return where it can be read.

        Raises:
            VersionNotFoundError: `version` was never registered.
        """
        ...
