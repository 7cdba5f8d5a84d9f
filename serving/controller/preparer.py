"""Fetches and verifies a version before any worker may load it."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import structlog
from msgspec import Struct

from data_contracts.errors import (
    FeatureMismatchError,
    ManifestError,
    ModelError,
    RegistryError,
    RegistryUnavailableError,
    UsageError,
    VersionNotFoundError,
)
from data_contracts.manifest import Manifest, verify_files
from market_data.feature_sets import live_feature_set
from registry.port import ModelRegistry
from serving.controller.writer import BARRED, QUARANTINED, REASON_TAG, STATUS_TAG

log = structlog.get_logger()

THREADS: Final = 3


class Prepared(Struct, frozen=True, kw_only=True):
    """A version whose files are here and are what its manifest says."""

    model: str
    version: int
    folder: Path
    manifest: Manifest
    status: str = ""
    """Its tag when it was looked at; empty: none, or nobody asked, since it serves."""


class Refusal(Struct, frozen=True, kw_only=True):
    """A version that may not be served."""

    model: str
    version: int
    reason: str
    status: str = "refused"
    """Tag that says so: quarantined where it came off before and nobody has cleared its tag since."""


class Postponed(Struct, frozen=True, kw_only=True):
    """The registry is away: nothing is known yet."""

    model: str
    version: int


Answer = Prepared | Refusal | Postponed


def prepare(
    registry: ModelRegistry, versions: Path, model: str, version: int, *, serving: bool, status: str | None = None
) -> Answer:
    """Return the verified version, or why it is refused.

    Args:
        registry: where its files are.
        versions: folder that keeps fetched files, <model>/<version>/.
        model: registered model.
        version: to prepare.
        serving: it served before; then its verified files suffice and the registry may be away.
        status: status tag that is waiting to be written, which is newer than what the registry says.
    """
    folder = versions / model.replace("/", "_") / str(version)
    tag = ""
    try:
        if not serving:
            tags = registry.version(model, version).tags
            tag = status or tags.get(STATUS_TAG, "")
            if tag in BARRED:
                return Refusal(model=model, version=version, reason=_barred(tag, version, tags), status=QUARANTINED)
        manifest = _verified(registry, folder, model, version)
        live = live_feature_set(manifest.feature_set, manifest.features).hash
        if manifest.feature_hash != live:
            raise FeatureMismatchError(feature_set=manifest.feature_set, expected=live, got=manifest.feature_hash)
    except RegistryUnavailableError:
        return Postponed(model=model, version=version)
    except (ModelError, RegistryError, UsageError) as error:
        reason = str(error)
        for place in (folder, _part(folder)):  # where it lies on this machine says nothing to who reads the tag
            reason = reason.replace(f"{place}/", "").replace(f"{place}", f"version {version}")
        return Refusal(model=model, version=version, reason=reason)
    return Prepared(model=model, version=version, folder=folder, manifest=manifest, status=tag)


def _barred(tag: str, version: int, tags: Mapping[str, str]) -> str:
    said = tags.get(REASON_TAG, "")
    if tag == QUARANTINED and said:
        return said  # it was put under an alias before: what it says there holds on
    return f"version {version} is tagged {tag}: clear its tag {STATUS_TAG} to try it again" + (
        f" ({said})" if said else ""
    )


def _verified(registry: ModelRegistry, folder: Path, model: str, version: int) -> Manifest:
    if folder.is_dir():
        try:
            return verify_files(folder)
        except ModelError:
            shutil.rmtree(folder)  # half fetched, or touched since: the registry's copy decides
    part = _part(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        registry.fetch(model, version, part)
    except VersionNotFoundError:
        raise ManifestError(f"version {version}: expected its files where the registry says, found none") from None
    manifest = verify_files(part)
    part.rename(folder)
    return manifest


def _part(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.part")


class Preparer:
    """Prepares versions in a few threads: fetching may take long, and one model's must not hold up another's."""

    def __init__(self, work: Callable[[str, int], Answer], done: Callable[[], None] = lambda: None) -> None:
        """Take the work to be done for (model, version), and whom to tell of every answer."""
        self._work, self._done = work, done
        self._asked: SimpleQueue[tuple[str, int] | None] = SimpleQueue()
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._under_way: set[tuple[str, int]] = set()
        self._threads = [
            threading.Thread(target=self._run, name=f"preparer-{number}", daemon=True) for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, model: str, version: int) -> None:
        """Have a version prepared, unless that is under way."""
        if (model, version) not in self._under_way:
            self._under_way.add((model, version))
            self._asked.put((model, version))

    def answers(self) -> list[Answer]:
        """Return what has been found since the last call."""
        found = []
        while not self._answers.empty():
            answer = self._answers.get()
            self._under_way.discard((answer.model, answer.version))
            found.append(answer)
        return found

    def stop(self) -> None:
        """End the threads once they have nothing in hand."""
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join(10.0)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            self._answers.put(self._answer(*asked))
            self._done()

    def _answer(self, model: str, version: int) -> Answer:
        begun = time.monotonic()
        try:
            answer = self._work(model, version)
        except Exception as error:  # a full disk, files nobody thought of: said where a person looks, and tried again
            log.exception("version_not_prepared", model=model, version=version)
            return Refusal(model=model, version=version, reason=f"{type(error).__name__}: {error}")
        what = type(answer).__name__.lower()
        log.info("version_checked", model=model, version=version, answer=what, seconds=time.monotonic() - begun)
        return answer
