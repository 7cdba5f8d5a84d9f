"""Flows by the clock or by an event: parameters are plain values, as a Prefect deployment needs them."""

from pathlib import Path
from typing import Any, Final

import msgspec
from prefect import flow

from data_contracts.errors import UsageError
from pipelines.flows import Given, train_flow
from pipelines.request import TrainedVersion, TrainRequest, changed
from pipelines.retention import RetentionRequest, retention_flow
from pipelines.retrain import drift_flow, request_of, retrain_flow, sentence
from pipelines.steps.drift import DriftRequest
from registry.mlflow_registry import MlflowRegistry

_HORIZON_NS: Final = 5_000_000_000
_TRIALS: Final = 10


@flow(name="scheduled training", flow_run_name="scheduled training of {model}")
def scheduled_training(
    source: str,
    model: str,
    mlflow_uri: str,
    work: str,
    format_name: str | None = None,
    instrument: str | None = None,
    asked: dict[str, Any] | None = None,
    alias: str | None = None,
) -> dict[str, int]:
    """Train on the recording at `source`, publish, and point `alias` at the best new version.

    Returns:
        Version by family.
    """
    request = request_for(source, model, mlflow_uri, work, format_name, instrument, asked)
    registry = MlflowRegistry(mlflow_uri, timeout_s=60.0)
    result = train_flow(request, Given(registry=registry))
    if alias and result.versions:
        registry.move_alias(model, alias, best(result.versions).version)
    return {each.family: each.version for each in result.versions}


@flow(name="scheduled retraining", flow_run_name="scheduled retraining of {model}")
def scheduled_retraining(
    source: str,
    model: str,
    mlflow_uri: str,
    work: str,
    format_name: str | None = None,
    instrument: str | None = None,
    asked: dict[str, Any] | None = None,
    alias: str | None = None,
    against: str = "champion",
) -> dict[str, str]:
    """Train as the version at `against` was trained, on what is at `source` now, and publish what beats it.

    What `asked` states is asked for instead.

    Returns:
        By family the new version, or why there is none.
    """
    registry = MlflowRegistry(mlflow_uri, timeout_s=60.0)
    request = request_for(source, model, mlflow_uri, work, format_name, instrument, asked)
    former = _former(f"models:/{model}@{against}", registry)
    if former is not None:
        where = {name: getattr(request, name) for name in ("source", "format", "mlflow_uri", "work")}
        request = stated(changed(former, **where, instrument=instrument or former.instrument), asked)
    result, _ = retrain_flow(request, Given(registry=registry), against, alias)
    return {each.family: f"version {each.version}" for each in result.versions} | result.refused


@flow(name="scheduled drift", flow_run_name="scheduled drift of {model}")
def scheduled_drift(
    source: str,
    model: str,
    mlflow_uri: str,
    reference: str | None = None,
    format_name: str | None = None,
    instrument: str | None = None,
    alpha: float = 0.05,
    against: str = "champion",
) -> str:
    """Compare what is at `source` with `reference`, default what the version at `against` was made from.

    Returns:
        What was found, in a sentence; Prefect is told of a drift by an event.

    Raises:
        UsageError: no reference, and no version to take it from.
    """
    registry, uri = MlflowRegistry(mlflow_uri, timeout_s=60.0), f"models:/{model}@{against}"
    former = _former(uri, registry)
    if reference is None and former is None:
        raise UsageError(f"drift: expected a reference, or a version of {model} that holds the alias {against}")
    request = DriftRequest(
        reference=reference or (former.source if former else ""),
        source=source,
        format=format_name,
        instrument=instrument,
        alpha=alpha,
    )
    return sentence(drift_flow(request, uri if former else None, Given(registry=registry)))


@flow(name="scheduled retention", flow_run_name="scheduled retention")
def scheduled_retention(
    mlflow_uri: str,
    experiment: str = "ringcraft",
    keep_days: float = 30.0,
    keep_versions: int = 10,
    dry_run: bool = False,
    work: list[str] | None = None,
) -> dict[str, Any]:
    """Clean up what is old and pointed at by nothing.

    Returns:
        How many versions, runs and folders went.
    """
    result = retention_flow(
        RetentionRequest(
            mlflow_uri=mlflow_uri,
            experiment=experiment,
            keep_days=keep_days,
            keep_versions=keep_versions,
            dry_run=dry_run,
            work=tuple(work or ()),
        )
    )
    return {"versions": len(result.versions), "runs": len(result.runs), "folders": len(result.folders)}


def best(versions: tuple[TrainedVersion, ...]) -> TrainedVersion:
    """Return the version that earned most after costs on held-out rows; unknown earns least."""
    return max(versions, key=net_pnl_bps)


def net_pnl_bps(version: TrainedVersion) -> float:
    """Return PnL after costs in bps a decision on held-out rows; minus infinity where it is unknown."""
    value = version.metrics["net_pnl_bps"].value
    return value if value is not None else float("-inf")


def request_for(
    source: str,
    model: str,
    mlflow_uri: str,
    work: str,
    format_name: str | None,
    instrument: str | None,
    asked: dict[str, Any] | None = None,
) -> TrainRequest:
    """Return the request that plain values mean.

    Raises:
        UsageError: as of `stated`.
    """
    request = TrainRequest(
        source=source,
        format=format_name,
        instrument=instrument,
        model=model,
        horizon_ns=_HORIZON_NS,
        trials=_TRIALS,
        mlflow_uri=mlflow_uri,
        work=str(Path(work)),
    )
    return stated(request, asked)


def stated(request: TrainRequest, asked: dict[str, Any] | None) -> TrainRequest:
    """Return the request with the fields that `asked` states, of its label those parts, and the rest as it is.

    Raises:
        UsageError: a field that a request does not have, or a value that it cannot have.
    """
    if not asked:
        return request
    plain = msgspec.to_builtins(request)
    label = plain["label"] | dict(asked.get("label", {}))
    if "horizon_ns" in asked and "horizon_events" not in asked.get("label", {}):
        label["horizon_events"] = None  # which would stand before the horizon that is asked for
    if {"families", "sequence"} & set(asked):
        plain["window"] = 0  # was that of the families of before
    try:
        return msgspec.convert(plain | asked | {"label": label}, TrainRequest)
    except msgspec.ValidationError as error:
        raise UsageError(f"asked of a training: {error}") from None


def _former(uri: str, registry: MlflowRegistry) -> TrainRequest | None:
    try:
        return request_of(uri, registry)
    except UsageError:  # a version made elsewhere: it is compared with, and cannot be repeated
        return None
