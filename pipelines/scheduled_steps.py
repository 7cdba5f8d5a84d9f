"""The flows that do a part of what `train` does, by the clock: parameters are plain values."""

from typing import Any

from prefect import flow

from pipelines.data_flows import IngestRequest, ingest_flow, validate_flow
from pipelines.flows import Given, compress_flow, tune_flow
from pipelines.publishing import publish_flow
from pipelines.scheduled import request_for
from registry.mlflow_registry import MlflowRegistry


@flow(name="scheduled ingest", flow_run_name="scheduled ingest of {source}")
def scheduled_ingest(
    source: str, archive: str, work: str, format_name: str | None = None, instrument: str | None = None
) -> dict[str, int]:
    """Bring what is at `source` now into the archive.

    Returns:
        How many recordings there were, and how many of them were new.
    """
    request = IngestRequest(source=source, archive=archive, format=format_name, instrument=instrument, work=work)
    done = ingest_flow(request)
    return {"recordings": len(done), "new": sum(one.new for one in done)}


@flow(name="scheduled validation", flow_run_name="scheduled validation for {model}")
def scheduled_validation(
    source: str,
    model: str,
    mlflow_uri: str,
    work: str,
    format_name: str | None = None,
    instrument: str | None = None,
    asked: dict[str, Any] | None = None,
) -> int:
    """Hold what is at `source` to the contracts of training; fails where one is broken.

    Returns:
        How many tables were held to theirs.
    """
    request = request_for(source, model, mlflow_uri, work, format_name, instrument, asked)
    return len(validate_flow(request))


@flow(name="scheduled tuning", flow_run_name="scheduled tuning of {model}")
def scheduled_tuning(
    source: str,
    model: str,
    mlflow_uri: str,
    work: str,
    format_name: str | None = None,
    instrument: str | None = None,
    asked: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Look for the best configurations on the recording at `source`.

    Returns:
        Loss by family.
    """
    request = request_for(source, model, mlflow_uri, work, format_name, instrument, asked)
    return {name: done.loss for name, done in tune_flow(request).items()}


@flow(name="scheduled compression", flow_run_name="scheduled compression of {model}")
def scheduled_compression(
    source: str,
    model: str,
    mlflow_uri: str,
    work: str,
    format_name: str | None = None,
    instrument: str | None = None,
    asked: dict[str, Any] | None = None,
) -> dict[str, str]:
    """Tune, fit and compress on the recording at `source`, and publish nothing.

    Returns:
        The version's folder by family.
    """
    request = request_for(source, model, mlflow_uri, work, format_name, instrument, asked)
    return {name: str(made.folder) for name, made in compress_flow(request).items()}


@flow(name="scheduled publishing", flow_run_name="scheduled publishing of {model}")
def scheduled_publishing(
    folder: str, model: str, mlflow_uri: str, alias: str | None = None, despite: str | None = None
) -> dict[str, int]:
    """Publish what lies in `folder` and is not published yet; `despite`: why even what lacks its proof.

    Returns:
        Version by folder.
    """
    registry = MlflowRegistry(mlflow_uri, timeout_s=60.0)
    done = publish_flow(folder, model, Given(registry=registry), mlflow_uri, alias, despite)
    return {one.folder: one.version for one in done}
