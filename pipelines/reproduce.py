"""Making a version again: the same bits from the same data, or a plain word on what differs."""

import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from prefect import flow

from data_contracts.errors import ModelError, UsageError
from data_contracts.manifest import MODEL_FILE, DataRange, Manifest, verify_files
from pipelines.flows import Given, Watch, learn, prepare
from pipelines.identity import code_digest
from pipelines.recipe import Recipe, read_recipe
from pipelines.request import TrainRequest, changed
from registry.port import ModelRegistry

_STEPS: Final = 7
_URI: Final = re.compile(r"models:/(?P<model>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")


class Reproduced(Struct, frozen=True, kw_only=True):
    """What came of it."""

    model: str
    version: int
    family: str
    expected: str
    """SHA-256 of the published model.onnx."""
    got: str
    same: bool
    same_code: bool
    """Whether code and libraries are those that made the version; where they are not, other bits are no wonder."""
    folder: str
    """Where the new model.onnx lies."""


def resolve(uri: str, registry: ModelRegistry) -> tuple[str, int]:
    """Return model and version of models:/NAME/VERSION or models:/NAME@ALIAS.

    Raises:
        UsageError: neither of them.
        RegistryError: no such model, version or alias.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        raise UsageError(f"{uri!r}: expected models:/NAME/VERSION or models:/NAME@ALIAS")
    model = found["model"]
    return model, int(found["version"]) if found["version"] else registry.resolve(model, found["alias"])


def made_from(uri: str, registry: ModelRegistry) -> tuple[int, Manifest, Recipe]:
    """Return a version's number, its manifest, and how it was made.

    Raises:
        UsageError: not the address of a version, or of one made elsewhere.
        RegistryError: no such version.
    """
    model, version = resolve(uri, registry)
    with tempfile.TemporaryDirectory() as part:
        folder = Path(part) / f"{model} {version}"
        registry.fetch(model, version, folder)
        return version, verify_files(folder), read_recipe(folder)


@flow(name="reproduce", flow_run_name="reproduce {uri}", validate_parameters=False)
def reproduce_flow(uri: str, work: str, given: Given, source: str | None = None) -> Reproduced:
    """Fit and compress again what made the version at `uri`, without tuning, and compare the graphs bit for bit.

    Args:
        uri: models:/NAME/VERSION or models:/NAME@ALIAS.
        work: folder for the new files.
        given: the registry that holds the version; recordings that are already read, if any.
        source: recording; None: where it lay when the version was made.

    Raises:
        ModelError: the data are not those that made the version.
        UsageError: the version was not made by `ringcraft train`.
        RegistryError: no such version.
    """
    if given.registry is None:
        raise UsageError("reproduce: expected the registry that holds the version, got none")
    version, manifest, recipe = made_from(uri, given.registry)
    request = changed(recipe.request, work=work, source=source or recipe.request.source, families=(recipe.family,))
    request = changed(request, seeds=1)  # the graph is compared, and that is of one
    watch = Watch(_STEPS, given.on_step)
    again = Given(recordings=given.recordings, configs={recipe.family: recipe.typed_config()})
    ready = prepare(request, again, watch)
    must_be_the_data(uri, manifest.data, ready.prepared.ranges)
    content = learn(recipe.family, ready, request, again, watch).small.model.SerializeToString()
    folder = Path(work) / "reproduced" / f"{manifest.model}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(content)
    expected, got = manifest.files[MODEL_FILE], hashlib.sha256(content).hexdigest()
    return Reproduced(
        model=manifest.model,
        version=version,
        family=recipe.family,
        expected=expected,
        got=got,
        same=got == expected,
        same_code=recipe.code == code_digest(),
        folder=str(folder),
    )


def learnt_here(request: TrainRequest) -> TrainRequest:
    """Return the request with this process alone to learn: the cluster and the storage of then may be gone."""
    return changed(request, runner="threads", workers=1, cluster=None, tuners=1, storage=None)


def must_be_the_data(uri: str, expected: Sequence[DataRange], got: Sequence[DataRange]) -> None:
    """Refuse other data than those a version was made from.

    Raises:
        ModelError: a recording is missing, is one too many, or has another fingerprint.
    """
    wanted, here = [each.fingerprint for each in expected], [each.fingerprint for each in got]
    if wanted == here:
        return
    index = next((i for i, (a, b) in enumerate(zip(wanted, here, strict=False)) if a != b), min(len(wanted), len(here)))
    raise ModelError(
        f"{uri}: made from other data: recording {index + 1} of {len(wanted)}: "
        f"expected {_said(expected, index)}, got {_said(got, index)}"
    )


def _said(ranges: Sequence[DataRange], index: int) -> str:
    if index >= len(ranges):
        return "none"
    one = ranges[index]
    return f"{one.instrument} {one.source}, {one.events:,} events, fingerprint {one.fingerprint[:16]}"
