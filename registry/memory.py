"""A registry in this process's memory: for tests, and for trying a rollout without a server."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from data_contracts.errors import (
    AliasNotSetError,
    ModelNotFoundError,
    RegistryError,
    RegistryUnavailableError,
    VersionNotFoundError,
)
from registry.files import empty_folder, read_files, write_files
from registry.port import ModelLook, ModelVersion
from registry.swap import Swap

_ALIAS: Final = re.compile(r"[\w-]{1,255}")
_RESERVED_ALIAS: Final = re.compile(r"latest|v\d+", re.IGNORECASE)


@dataclass
class _Version:
    tags: dict[str, str]
    run_id: str
    files: dict[str, bytes]
    evidence: dict[str, bytes] = field(default_factory=dict)


@dataclass
class _Model:
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: dict[int, _Version] = field(default_factory=dict)


class MemoryRegistry:
    """Keeps the promises of registry.port.ModelRegistry and refuses the names that MLflow refuses.

    Attributes:
        reachable: set it to False and every call raises RegistryUnavailableError.
    """

    def __init__(self) -> None:
        self.reachable = True
        self._models: dict[str, _Model] = {}

    def models(self) -> list[str]:
        """See ModelRegistry."""
        self._must_be_reachable()
        return sorted(self._models)

    def versions(self, model: str) -> list[ModelVersion]:
        """See ModelRegistry."""
        return [self.version(model, number) for number in sorted(self._model(model).versions)]

    def version(self, model: str, version: int) -> ModelVersion:
        """See ModelRegistry."""
        kept = self._version(model, version)
        return ModelVersion(model=model, version=version, tags=dict(kept.tags), run_id=kept.run_id)

    def aliases(self, model: str) -> dict[str, int]:
        """See ModelRegistry."""
        return dict(self._model(model).aliases)

    def model_tags(self, model: str) -> dict[str, str]:
        """See ModelRegistry."""
        return dict(self._model(model).tags)

    def look(self, model: str) -> ModelLook:
        """See ModelRegistry."""
        kept = self._model(model)
        return ModelLook(aliases=dict(kept.aliases), tags=dict(kept.tags))

    def set_model_tags(self, model: str, tags: Mapping[str, str]) -> None:
        """See ModelRegistry."""
        self._model(model).tags.update(tags)

    def delete_model_tag(self, model: str, key: str) -> None:
        """See ModelRegistry."""
        self._model(model).tags.pop(key, None)

    def delete_version(self, model: str, version: int) -> None:
        """Delete a version, as a person does in MLflow's UI: its aliases go with it."""
        self._version(model, version)
        kept = self._models[model]
        del kept.versions[version]
        kept.aliases = {alias: held for alias, held in kept.aliases.items() if held != version}

    def resolve(self, model: str, alias: str) -> int:
        """See ModelRegistry."""
        version = self._model(model).aliases.get(alias)
        if version is None:
            raise AliasNotSetError(model, alias)
        return version

    def move_alias(self, model: str, alias: str, version: int) -> int | None:
        """See ModelRegistry."""
        _check_alias(alias)
        self._version(model, version)
        aliases = self._models[model].aliases
        before = aliases.get(alias)
        aliases[alias] = version
        return before

    def delete_alias(self, model: str, alias: str) -> int | None:
        """See ModelRegistry."""
        return self._model(model).aliases.pop(alias, None)

    def swap_alias(self, model: str, alias: str, *, expected: Collection[int | None], target: int | None) -> Swap:
        """See ModelRegistry; nothing can come in between here."""
        held = self._model(model).aliases.get(alias)
        if held == target or held not in expected:
            return Swap(held=held, made=False)
        if target is None:
            self.delete_alias(model, alias)
        else:
            self.move_alias(model, alias, target)
        return Swap(held=held, made=True)

    def set_version_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """See ModelRegistry."""
        self._version(model, version).tags.update(tags)

    def publish(self, model: str, folder: Path, *, tags: Mapping[str, str], run_id: str | None = None) -> int:
        """See ModelRegistry."""
        self._must_be_reachable()
        if not model.strip() or "/" in model or ":" in model:
            raise RegistryError(f"model name {model!r}: expected one without '/' and ':', and not empty")
        files = read_files(folder)
        kept = self._models.setdefault(model, _Model())
        number = max(kept.versions, default=0) + 1
        kept.versions[number] = _Version(tags=dict(tags), run_id=run_id or f"memory-{model}-{number}", files=files)
        return number

    def fetch(self, model: str, version: int, folder: Path) -> None:
        """See ModelRegistry."""
        kept = self._version(model, version)
        empty_folder(folder)
        write_files(folder, kept.files)

    def log_evidence(self, model: str, version: int, name: str, content: bytes) -> str:
        """See ModelRegistry."""
        self._version(model, version).evidence[name] = content
        return f"memory:{model}/{version}/{name}"

    def evidence(self, model: str, version: int, name: str) -> bytes:
        """Return what log_evidence kept under `name`."""
        return self._version(model, version).evidence[name]

    def _must_be_reachable(self) -> None:
        if not self.reachable:
            raise RegistryUnavailableError("the registry in memory was made unreachable")

    def _model(self, model: str) -> _Model:
        self._must_be_reachable()
        try:
            return self._models[model]
        except KeyError:
            raise ModelNotFoundError(model) from None

    def _version(self, model: str, version: int) -> _Version:
        self._must_be_reachable()
        try:
            return self._models[model].versions[version]
        except KeyError:
            raise VersionNotFoundError(model, version) from None


def _check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias) or _RESERVED_ALIAS.fullmatch(alias):
        raise RegistryError(f"alias {alias!r}: expected letters, digits, - and _, neither 'latest' nor 'v<number>'")
