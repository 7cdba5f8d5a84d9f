"""Deployments of the flows: what a Prefect server starts by the clock, on a rollback, or on drift."""

from typing import Any, Final

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger, Posture
from prefect.types.entrypoint import EntrypointType

from data_contracts.schedule import ScheduledFlow
from data_contracts.settings import Settings
from pipelines.flows import settled
from pipelines.retrain import DRIFT_EVENT
from pipelines.scheduled import (
    request_for,
    scheduled_drift,
    scheduled_retention,
    scheduled_retraining,
    scheduled_training,
)
from pipelines.scheduled_steps import (
    scheduled_compression,
    scheduled_ingest,
    scheduled_publishing,
    scheduled_tuning,
    scheduled_validation,
)
from pipelines.tasks import LEARNERS

ROLLBACK_EVENT: Final = "ringcraft.rollout.rolled_back"
ALARM_EVENT: Final = "ringcraft.alarm"
"""Of the controller's watches; the label ringcraft.guardrail says which."""
_FLOWS: Final[dict[str, Flow[Any, Any]]] = {
    "ingest": scheduled_ingest,
    "validate": scheduled_validation,
    "tune": scheduled_tuning,
    "compress": scheduled_compression,
    "train": scheduled_training,
    "publish": scheduled_publishing,
    "retrain": scheduled_retraining,
    "drift": scheduled_drift,
    "retention": scheduled_retention,
}


def deployment_of(entry: ScheduledFlow, settings: Settings) -> RunnerDeployment:
    """Return the deployment; one run of it at a time, and what would start a second meanwhile is let go.

    Raises:
        UsageError: an unknown family, or a window that no family reads.
        ValueError: the cron fields are not five, or not of cron.
    """
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    deployment = _FLOWS[entry.flow].to_deployment(
        name=entry.name,
        cron=entry.cron,
        concurrency_limit=one,
        triggers=triggers_of(entry),
        # By module: the process of a run finds it wherever it and this command were started.
        entrypoint_type=EntrypointType.MODULE_PATH,
        parameters=_parameters(entry, settings),
    )
    if not isinstance(deployment, RunnerDeployment):
        raise TypeError("Prefect gave a coroutine although no event loop runs")
    return deployment


def triggers_of(entry: ScheduledFlow) -> list[Any]:
    """Return what starts the entry's flow besides the clock."""
    resource: dict[str, Any] = {"prefect.resource.id": f"ringcraft.model.{entry.model}"}
    asked: list[tuple[str, str, dict[str, Any]]] = []
    if "rollback" in entry.on:
        asked.append(("rollback", ROLLBACK_EVENT, resource))
    if "drift" in entry.on:
        asked.append(("drift", DRIFT_EVENT, resource))
        asked.append(("live drift", ALARM_EVENT, resource | {"ringcraft.guardrail": "drift"}))
    return [
        DeploymentEventTrigger(
            name=f"{entry.name} on {what}", expect={event}, match=match, posture=Posture.Reactive, threshold=1
        )
        for what, event, match in asked
    ]


def limit_learners(at_a_time: int) -> None:
    """Set on the Prefect server how many steps may learn at a time, over all flow runs."""
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(LEARNERS, at_a_time)


def _parameters(entry: ScheduledFlow, settings: Settings) -> dict[str, object]:
    work = str((settings.state_dir / "training" / entry.name).resolve())
    if entry.flow == "retention":
        folders = [str((settings.state_dir / "training" / e.name).resolve()) for e in settings.schedules]
        return {
            "mlflow_uri": settings.mlflow.uri,
            "experiment": settings.mlflow.experiment,
            "keep_days": entry.keep_days,
            "keep_versions": entry.keep_versions,
            "dry_run": entry.dry_run,
            "work": folders,
        }
    source = str(entry.source.resolve()) if entry.source else ""
    common: dict[str, object] = {
        "source": source,
        "format_name": entry.format,
        "instrument": entry.instrument,
        "model": entry.model,
        "mlflow_uri": settings.mlflow.uri,
    }
    if entry.flow == "ingest":
        archive = str(settings.stores.archive_dir.resolve())
        where = {name: common[name] for name in ("source", "format_name", "instrument")}
        return where | {"archive": archive, "work": work}
    if entry.flow == "publish":
        where = {"folder": source, "model": entry.model, "mlflow_uri": settings.mlflow.uri}
        return {**where, "alias": entry.alias, "despite": entry.despite}
    if entry.flow == "drift":
        reference = str(entry.reference.resolve()) if entry.reference else None
        return common | {"reference": reference, "alpha": entry.alpha}
    learning = common | {"work": work, "asked": _asked(entry)}
    return learning | ({"alias": entry.alias} if entry.flow in ("train", "retrain") else {})


def _asked(entry: ScheduledFlow) -> dict[str, Any]:
    """Return what the entry states of learning, once it is known to fit together."""
    asked = entry.asked()
    # What a retraining is not told its champion says, when the time comes.
    if entry.flow != "retrain" or "families" in asked:
        settled(request_for("", entry.model or "", "", "", None, None, asked))
    return asked
