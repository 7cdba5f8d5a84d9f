"""Flows that answer a market that changed: drift looks, retrain learns anew and publishes what is better."""

import tempfile
from pathlib import Path
from typing import Final

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from data_contracts.errors import AliasNotSetError, ModelNotFoundError
from data_contracts.manifest import read_manifest
from data_contracts.recording import Recording
from pipelines import artifacts, tasks
from pipelines.flows import Given, train_flow
from pipelines.recipe import read_recipe
from pipelines.reproduce import resolve
from pipelines.request import TrainRequest, TrainResult, changed
from pipelines.steps.compare import Comparison, compare_versions
from pipelines.steps.dataset import Prepared
from pipelines.steps.drift import DriftReport, DriftRequest, drift_between
from registry.port import ModelRegistry

DRIFT_EVENT: Final = "ringcraft.drift.found"
"""Prefect event, resource ringcraft.model.<model>: what a deployment of `retrain` is started by."""


def _drift_name() -> str:
    asked = runtime.flow_run.parameters
    return f"drift of {asked.get('model_uri') or 'features'} on {Path(asked['request'].source).name}"


@flow(name="drift", flow_run_name=_drift_name, validate_parameters=False)
def drift_flow(request: DriftRequest, model_uri: str | None = None, given: Given | None = None) -> DriftReport:
    """Compare what the market, a model's answers and its earnings are with what they were; tell Prefect of a change.

    Raises:
        UsageError: other instruments, too few rows, a model of another feature set.
        RegistryError: no such version.
    """
    given = given or Given()
    then = tasks.read(request.reference, request.format, request.instrument)
    now = given.recordings or tasks.read(request.source, request.format, request.instrument)
    with tempfile.TemporaryDirectory() as part:
        folder, model = None, ""
        if model_uri is not None and given.registry is not None:
            model, version = resolve(model_uri, given.registry)
            folder = Path(part) / "version"
            given.registry.fetch(model, version, folder)
        report = _compared(then, now, request, folder, model_uri)
    rows = [
        {"column": r.column, "test": r.test, "value": round(r.value, 4), "p": round(r.p_value, 5), "drifted": r.drifted}
        for r in report.results
    ]
    artifacts.table("drift", model or report.instrument, rows, f"{report.instrument}: {sentence(report)}")
    if report.drifted and model:
        emit_event(
            event=DRIFT_EVENT,
            resource={"prefect.resource.id": f"ringcraft.model.{model}", "ringcraft.model": model},
            payload={"model": model, "reason": sentence(report), "source": request.source},
        )
    return report


def sentence(report: DriftReport) -> str:
    """Say what was found, the surest three first."""
    if not report.drifted:
        return f"no drift in {len(report.results)} tests of {report.current_rows:,} rows"
    first = ", ".join(f"{r.column} ({r.test} {r.value:.3g}, p {r.p_value:.2g})" for r in report.found[:3])
    return f"drift: {first}" + (f" and {len(report.found) - 3} more" if len(report.found) > 3 else "")


@task(task_run_name="compare the windows", cache_policy=NO_CACHE)
def _compared(
    then: tuple[Recording, ...],
    now: tuple[Recording, ...],
    request: DriftRequest,
    folder: Path | None,
    model_uri: str | None,
) -> DriftReport:
    return drift_between(then, now, request, version=folder, model_uri=model_uri)


def _retrain_name() -> str:
    asked = runtime.flow_run.parameters["request"]
    return f"retrain {asked.model} on {Path(asked.source).name or 'recordings'}"


@flow(name="retrain", flow_run_name=_retrain_name, validate_parameters=False)
def retrain_flow(
    request: TrainRequest, given: Given, against: str = "champion", alias: str | None = None
) -> tuple[TrainResult, dict[str, Comparison]]:
    """Train, and publish only what beats the version that `against` points at; with no such version, all of it.

    Args:
        request: of the training; its newest rows are held out and judged on.
        given: the registry, and recordings that are already read, if any.
        against: alias of the version that may be stale.
        alias: given to the best new version, if there is one.

    Returns:
        What was published and what was refused, and every comparison by family.
    """
    registry = _registry(given)
    with tempfile.TemporaryDirectory() as part:
        stale = _stale(registry, request.model, against, Path(part) / "stale")
        request = far_enough_back(request, stale)
        compared: dict[str, Comparison] = {}

        def gate(family: str, folder: Path, prepared: Prepared) -> str | None:
            if stale is None:
                return None
            compared[family] = compare_versions(folder, stale, prepared.held_out, seed=request.seed)
            return None if compared[family].better else f"not better: {compared[family].reason}"

        asked = Given(
            recordings=given.recordings, registry=registry, on_step=given.on_step, on_labels=given.on_labels, gate=gate
        )
        result = train_flow(request, asked)
    rows = [{"family": name, "better": one.better, "why": one.reason} for name, one in compared.items()]
    artifacts.table("retrain", request.model, rows, f"{request.model}: against {against}")
    if alias and result.versions:
        from pipelines.scheduled import best

        registry.move_alias(request.model, alias, best(result.versions).version)
    return result, compared


def far_enough_back(request: TrainRequest, stale: Path | None) -> TrainRequest:
    """Return the request with rows that the version in `stale`, if there is one, can be asked about too."""
    window = read_manifest(stale).window if stale else 1
    return changed(request, window=max(request.window, window)) if window > 1 else request


def request_of(uri: str, registry: ModelRegistry) -> TrainRequest | None:
    """Return how the version at `uri` was asked for, None where there is no such version."""
    try:
        model, version = resolve(uri, registry)
    except (AliasNotSetError, ModelNotFoundError):
        return None
    with tempfile.TemporaryDirectory() as part:
        folder = Path(part) / f"{model} {version}"
        registry.fetch(model, version, folder)
        return read_recipe(folder).request


def _registry(given: Given) -> ModelRegistry:
    if given.registry is None:
        raise TypeError("retrain: expected a registry, got none")
    return given.registry


def _stale(registry: ModelRegistry, model: str, alias: str, folder: Path) -> Path | None:
    try:
        version = registry.resolve(model, alias)
    except (AliasNotSetError, ModelNotFoundError):
        return None
    registry.fetch(model, version, folder)
    return folder
