"""Training by the clock: a flow whose parameters are plain values, as a Prefect deployment needs them."""

from pathlib import Path

from prefect import flow

from pipelines.flows import Given, train_flow
from pipelines.request import TrainedVersion, TrainRequest
from registry.mlflow_registry import MlflowRegistry


@flow(name="scheduled training", flow_run_name="scheduled training of {model}")
def scheduled_training(
    source: str,
    model: str,
    mlflow_uri: str,
    work: str,
    format_name: str | None = None,
    instrument: str | None = None,
    horizon_s: float = 5.0,
    trials: int = 10,
    alias: str | None = None,
) -> dict[str, int]:
    """Train on the recording at `source`, publish, and point `alias` at the best new version.

    Returns:
        Version by family.
    """
    request = TrainRequest(
        source=source,
        format=format_name,
        instrument=instrument,
        model=model,
        horizon_ns=round(horizon_s * 1e9),
        trials=trials,
        mlflow_uri=mlflow_uri,
        work=str(Path(work)),
    )
    registry = MlflowRegistry(mlflow_uri, timeout_s=60.0)
    result = train_flow(request, Given(registry=registry))
    if alias:
        registry.move_alias(model, alias, best(result.versions).version)
    return {each.family: each.version for each in result.versions}


def best(versions: tuple[TrainedVersion, ...]) -> TrainedVersion:
    """Return the version that earned most after costs on held-out rows; unknown earns least."""
    return max(versions, key=net_pnl_bps)


def net_pnl_bps(version: TrainedVersion) -> float:
    """Return PnL after costs in bps a decision on held-out rows; minus infinity where it is unknown."""
    value = version.metrics["net_pnl_bps"].value
    return value if value is not None else float("-inf")
