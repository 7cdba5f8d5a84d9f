"""The plain steps as Prefect tasks: named, cached under keys of pipelines.identity, tried again where it may help."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.settings import PREFECT_API_URL

from data_contracts.errors import ManifestError, RegistryUnavailableError
from data_contracts.expectations import ContractReport
from data_contracts.manifest import Estimate, Manifest, SeedSpread, verify_files
from data_contracts.recording import Recording
from market_data.stores.parquet_archive import ParquetArchive
from models.families import family
from pipelines.recipe import write_recipe
from pipelines.request import TrainRequest
from pipelines.steps import compress as compressing
from pipelines.steps import contract, tracking
from pipelines.steps import dataset as datasets
from pipelines.steps import fit as fitting
from pipelines.steps import tune as tuning
from pipelines.steps.publish import Published, publish_once
from pipelines.steps.seeds import over_seeds
from pipelines.steps.table_contract import hold_rows_to_contract
from pipelines.steps.trials import Tried, tried_before
from pipelines.steps.version import build_version, evidence_files
from pipelines.temporary_server import tie_temporary_server
from registry.port import ModelRegistry

LEARNERS: Final = "ringcraft-learners"
"""Prefect's global concurrency limit on steps that learn; where none of that name is set, none holds."""
tie_temporary_server()
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _by_key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return str(parameters["key"])


def _passes(_task: object, _run: object, state: Any) -> bool:  # noqa: ANN401  Prefect's states
    # Bad input is as bad the second time; a server that was busy may not be.
    return isinstance(state.result(raise_on_failure=False), RegistryUnavailableError | ConnectionError | TimeoutError)


def _kept(name: str) -> Callable[[Callable[_P, _R]], Task[_P, _R]]:
    """A step whose answer is kept on the disk and read again by any later run with an equal `key`."""
    return task(task_run_name=name, cache_key_fn=_by_key, persist_result=True)


def _afresh(name: str) -> Callable[[Callable[_P, _R]], Task[_P, _R]]:
    """A step that is done every time, and again where what it asks was away."""
    return task(
        task_run_name=name, cache_policy=NO_CACHE, retries=3, retry_delay_seconds=[1, 5, 20], retry_condition_fn=_passes
    )


def _a_learner() -> AbstractContextManager[None]:
    # The server that Prefect starts by itself is gone with the flow, and keeps no limits.
    return concurrency(LEARNERS) if PREFECT_API_URL.value() else nullcontext()


@_afresh("ask the registry")
def reached(registry: ModelRegistry) -> None:
    """Return once the registry answers: without it nothing that is learnt can be kept."""
    registry.models()


@_afresh("read {source}")
def read(source: str, format_name: str | None, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return the recordings at `source`, oldest first."""
    return contract.read(Path(source), format=format_name, instrument=instrument, depth=depth)


@_afresh("hold recordings to their contract")
def checked(recordings: tuple[Recording, ...], work: str) -> tuple[ContractReport, ...]:
    """Return the reports, or set a recording aside under `work`."""
    return contract.hold_to_contract(recordings, Path(work))


@_afresh("archive {recording.source.name}")
def archived(recording: Recording, archive: str, *, replace: bool) -> bool:
    """Bring the recording into the Parquet archive; return whether it was not there yet."""
    return ParquetArchive(Path(archive), replace=replace).write(recording)


@_kept("make rows and folds")
def rows(key: str, recordings: tuple[Recording, ...], request: TrainRequest) -> datasets.Prepared:  # noqa: ARG001
    """Return the request's rows."""
    return datasets.prepare(recordings, request)


@_afresh("hold rows to their contracts")
def rows_checked(prepared: datasets.Prepared, request: TrainRequest) -> tuple[ContractReport, ...]:
    """Return the reports on features, labels and training set, or set them aside."""
    return hold_rows_to_contract(prepared, Path(request.work), window=max(request.window, 1))


@_kept("measure baselines")
def baselines(key: str, prepared: datasets.Prepared, request: TrainRequest) -> dict[str, dict[str, Estimate]]:  # noqa: ARG001
    """Return every baseline's metrics on the held-out rows."""
    with _a_learner():
        return fitting.baselines(prepared, seed=request.seed)


@_kept("tune {name}")
def tuned(key: str, name: str, prepared: datasets.Prepared, request: TrainRequest) -> tuning.Tuned:
    """Return the configuration that did best out of fold."""
    with _a_learner():
        return tuning.tune(
            family(name),
            _as_read_by(name, prepared, request),
            trials=request.trials,
            seed=request.seed,
            target=request.target,
            study=tuning.Study(
                name=f"{request.model} {name} {key.removeprefix('tune-')[:16]}",
                storage=request.storage or f"sqlite:///{Path(request.work) / 'studies.sqlite'}",
                objectives=request.objectives,
                workers=request.tuners,
            ),
        )


@_kept("fit {name}")
def fitted(
    key: str,  # noqa: ARG001  what the answer is kept under
    name: str,
    chosen: tuning.Tuned,
    prepared: datasets.Prepared,
    request: TrainRequest,
) -> fitting.FittedFamily:
    """Return the family fitted with the configuration that was chosen."""
    with _a_learner():
        rows = _as_read_by(name, prepared, request)
        return fitting.fit(family(name), chosen.config, rows, seed=request.seed, target=request.target)


@_kept("repeat {name} with other seeds")
def seeded(
    key: str,  # noqa: ARG001  what the answer is kept under
    name: str,
    made: fitting.FittedFamily,
    prepared: datasets.Prepared,
    request: TrainRequest,
) -> SeedSpread:
    """Return how far the family's figures hang on the seed."""
    with _a_learner():
        rows = _as_read_by(name, prepared, request)
        return over_seeds(family(name), made, rows, seed=request.seed, seeds=request.seeds, target=request.target)


@_kept("compress {name}")
def compressed(
    key: str,  # noqa: ARG001  what the answer is kept under
    name: str,
    made: fitting.FittedFamily,
    prepared: datasets.Prepared,
    request: TrainRequest,
) -> compressing.Compressed:
    """Return the smallest graph that is not inferior."""
    with _a_learner():
        return compressing.compress(made, _as_read_by(name, prepared, request), seed=request.seed)


@_afresh("build {name}")
def built(
    build: str,
    name: str,
    made: fitting.FittedFamily,
    small: compressing.Compressed,
    prepared: datasets.Prepared,
    measured: dict[str, dict[str, Estimate]],
    request: TrainRequest,
    seeds: SeedSpread | None = None,
    studies: frozenset[str] = frozenset(),
) -> tuple[Path, Manifest]:
    """Return the version's folder and manifest; a folder that an earlier run of the same build finished is kept.

    `studies` are the run's own: what others tried before is counted once, as the folder is made.
    """
    folder = Path(request.work) / "versions" / f"{name}-{build[:16]}"
    try:
        return folder, verify_files(folder)
    except ManifestError:  # none, or one whose making was cut short: the manifest comes last
        shutil.rmtree(folder, ignore_errors=True)
    write_recipe(folder, request, name, made.config, build)
    before = tried_before(request, prepared.ranges, studies)
    rows = _as_read_by(name, prepared, request)
    return folder, build_version(folder, made, small, rows, measured, request, seeds, before)


@_afresh("track {what} of {name}")
def tracked(
    what: str,
    key: str,
    name: str,
    config: object,
    evidence: dict[str, bytes],
    request: TrainRequest,
    manifest: Manifest | None = None,
    tried: Tried | None = None,
) -> str | None:
    """Keep `evidence` in a run of MLflow; return the run's id, None where nothing is tracked."""
    with tracking.run(request, name, key, what=what) as run:
        run.log(request, name, config, manifest, tried)
        run.keep(evidence, Path(request.work))
    return run.id


@_afresh("publish {name}")
def published(
    build: str,
    name: str,
    folder: Path,
    config: object,
    evidence: dict[str, bytes],
    request: TrainRequest,
    registry: ModelRegistry,
    despite: str | None = None,
    tried: Tried | None = None,
) -> Published:
    """Register the folder once, with its run in MLflow; a run that was cut short is taken up."""
    with tracking.run(request, name, build) as run:
        run.log(request, name, config, verify_files(folder), tried)
        run.keep(evidence, Path(request.work))
        return publish_once(registry, folder, build=build, run_id=run.id, despite=despite)


@_afresh("register {folder.name}")
def registered(folder: Path, build: str, registry: ModelRegistry, despite: str | None = None) -> Published:
    """Register a folder that no run of ours made, once."""
    return publish_once(registry, folder, build=build, despite=despite)


@_afresh("point {alias} at version {version} of {model}")
def aliased(registry: ModelRegistry, model: str, alias: str, version: int) -> None:
    """Move the alias."""
    registry.move_alias(model, alias, version)


def _as_read_by(name: str, prepared: datasets.Prepared, request: TrainRequest) -> datasets.Prepared:
    return prepared.seen_through(datasets.vectors_read(name, request))


def evidence_of(
    made: fitting.FittedFamily,
    small: compressing.Compressed,
    chosen: tuning.Tuned,
    contract: dict[str, bytes],
) -> dict[str, bytes]:
    """Return what a run keeps besides the version's files, by path; `contract`: of contract_files()."""
    return evidence_files(made, small) | tracking.study_file(chosen) | contract
