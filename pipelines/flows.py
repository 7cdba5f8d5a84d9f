"""Prefect flows: thin orders of the plain steps in pipelines.steps."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import UsageError
from data_contracts.expectations import ContractReport
from data_contracts.manifest import Estimate, Manifest
from data_contracts.recording import Recording
from market_data.feature_sets import reads_depth
from models.families import family
from models.labels import LabelReport
from pipelines.request import TrainedVersion, TrainRequest, TrainResult
from pipelines.steps import compress as compressing
from pipelines.steps import contract, tracking
from pipelines.steps import dataset as datasets
from pipelines.steps import fit as fitting
from pipelines.steps import tune as tuning
from pipelines.steps.publish import publish
from pipelines.steps.version import build_version, evidence_files
from registry.port import ModelRegistry

_FIRST_STEPS = 3
_STEPS_PER_FAMILY = 4


class Given:
    """What a caller hands to a flow besides its request: things Prefect must not try to write down."""

    __slots__ = ("on_labels", "on_step", "recordings", "registry")

    def __init__(
        self,
        *,
        recordings: Sequence[Recording] = (),
        registry: ModelRegistry | None = None,
        on_step: Callable[[str, int, int], None] | None = None,
        on_labels: Callable[[LabelReport], None] | None = None,
    ) -> None:
        """Keep them.

        Args:
            recordings: already read, oldest first; none: the request's source is read.
            registry: where versions are published; None: MLflow at the request's mlflow_uri.
            on_step: told the step that begins, how many are done, and of how many.
            on_labels: told what the labels look like before anything is learnt from them.
        """
        self.recordings, self.registry = tuple(recordings), registry
        self.on_step, self.on_labels = on_step, on_labels


@task(task_run_name="check the recording's contract", cache_policy=NO_CACHE)
def _checked(request: TrainRequest, given: Given) -> tuple[tuple[Recording, ...], tuple[ContractReport, ...]]:
    recordings = given.recordings or contract.read(
        Path(request.source),
        format=request.format,
        instrument=request.instrument,
        depth=reads_depth(request.feature_set),
    )
    return recordings, contract.hold_to_contract(recordings, Path(request.work))


@task(task_run_name="make rows and folds", cache_policy=NO_CACHE)
def _prepared(recordings: tuple[Recording, ...], request: TrainRequest) -> datasets.Prepared:
    return datasets.prepare(recordings, request)


@task(task_run_name="measure baselines", cache_policy=NO_CACHE)
def _baselines(prepared: datasets.Prepared, request: TrainRequest) -> dict[str, dict[str, Estimate]]:
    return fitting.baselines(prepared, seed=request.seed)


@task(task_run_name="tune {name}", cache_policy=NO_CACHE)
def _tuned(name: str, prepared: datasets.Prepared, request: TrainRequest) -> tuning.Tuned:
    return tuning.tune(family(name), prepared, trials=request.trials, seed=request.seed)


@task(task_run_name="fit {name}", cache_policy=NO_CACHE)
def _fitted(name: str, config: Any, prepared: datasets.Prepared, request: TrainRequest) -> fitting.FittedFamily:  # noqa: ANN401  each family has its own
    return fitting.fit(family(name), config, prepared, seed=request.seed)


@task(task_run_name="compress {name}", cache_policy=NO_CACHE)
def _compressed(
    name: str,  # noqa: ARG001  names the task run
    fitted: fitting.FittedFamily,
    prepared: datasets.Prepared,
    request: TrainRequest,
) -> compressing.Compressed:
    return compressing.compress(fitted, prepared, seed=request.seed)


@task(task_run_name="publish {name}", cache_policy=NO_CACHE)
def _published(
    name: str,
    tuned: tuning.Tuned,
    fitted: fitting.FittedFamily,
    compressed: compressing.Compressed,
    prepared: datasets.Prepared,
    baselines: dict[str, dict[str, Estimate]],
    reports: tuple[ContractReport, ...],
    request: TrainRequest,
    registry: ModelRegistry,
) -> TrainedVersion:
    folder = Path(request.work) / "versions" / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    manifest = build_version(folder, fitted, compressed, prepared, baselines, request)
    run = tracking.Run(request, name)
    try:
        run.log(request, fitted, manifest)
        evidence = evidence_files(fitted, compressed) | tracking.study_file(tuned) | tracking.contract_files(reports)
        run.keep(evidence, Path(request.work))
        version = publish(registry, folder, run_id=run.id)
    except Exception:
        run.end(failed=True)
        raise
    run.end()
    return _answer(name, version, folder, run.id, manifest, baselines)


@flow(name="train", flow_run_name="train {request.model}", validate_parameters=False)
def train_flow(request: TrainRequest, given: Given | None = None) -> TrainResult:
    """Check, learn, tune, compress and publish every family that is asked for.

    Raises:
        QuarantinedError: a recording broke its contract.
        UsageError: too few rows, an unknown family or feature set, no registry.
        RegistryError: the registry refuses or cannot be reached.
    """
    given = given or Given()
    registry = given.registry or _mlflow(request)
    families = tuple(dict.fromkeys(request.families))
    for name in families:
        family(name)
    watch = _Watch(_FIRST_STEPS + _STEPS_PER_FAMILY * len(families), given.on_step)
    recordings, reports = watch("contract", _checked, request, given)
    prepared = watch("rows", _prepared, recordings, request)
    if given.on_labels is not None:
        given.on_labels(prepared.labels)
    baselines = watch("baselines", _baselines, prepared, request)
    versions = []
    for name in families:
        tuned = watch(f"tune {name}", _tuned, name, prepared, request)
        fitted = watch(f"fit {name}", _fitted, name, tuned.config, prepared, request)
        compressed = watch(f"compress {name}", _compressed, name, fitted, prepared, request)
        parts = (name, tuned, fitted, compressed, prepared, baselines, reports, request, registry)
        versions.append(watch(f"publish {name}", _published, *parts))
    return TrainResult(
        model=request.model,
        instrument=prepared.instrument.symbol,
        feature_set=prepared.features.name,
        labels=prepared.labels,
        learnt_rows=len(prepared.learn),
        held_out_rows=len(prepared.held_out),
        trained_until_ns=prepared.trained_until_ns,
        versions=tuple(versions),
        seconds=watch.seconds,
    )


class _Watch:
    def __init__(self, steps: int, on_step: Callable[[str, int, int], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._steps, self._on_step = steps, on_step

    def __call__(self, name: str, step: Any, *arguments: object) -> Any:  # noqa: ANN401  passes on what the step gives
        if self._on_step is not None:
            self._on_step(name, len(self.seconds), self._steps)
        start = time.perf_counter()
        answer = step(*arguments)
        self.seconds[name] = round(time.perf_counter() - start, 3)
        return answer


def _mlflow(request: TrainRequest) -> ModelRegistry:
    if request.mlflow_uri is None:
        raise UsageError("training: expected mlflow_uri or a registry to publish to, got neither")
    from registry.mlflow_registry import MlflowRegistry

    return MlflowRegistry(request.mlflow_uri, timeout_s=60.0)


def _answer(
    name: str,
    version: int,
    folder: Path,
    run_id: str | None,
    manifest: Manifest,
    baselines: dict[str, dict[str, Estimate]],
) -> TrainedVersion:
    return TrainedVersion(
        family=name,
        version=version,
        folder=str(folder),
        model_uri=f"models:/{manifest.model}/{version}",
        run_id=run_id,
        threshold=manifest.rule.threshold,
        metrics=manifest.metrics,
        baselines=baselines,
        compression=manifest.compression,
        latency=manifest.latency,
        notes=manifest.notes,
    )
