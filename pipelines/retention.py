"""Cleaning up: old runs, versions nobody points at, and what flows left on the disk."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from mlflow.tracking import MlflowClient
from msgspec import Struct
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import UsageError
from pipelines import artifacts
from pipelines.steps.proof import folder_of, marks, refuse
from pipelines.steps.publish import BUILD_TAG
from pipelines.temporary_server import tie_temporary_server

tie_temporary_server()
SAFE_STATUS: Final = frozenset(("checking", "shadow", "champion"))
"""Of ringcraft.status: a version that the tier holds, whatever the aliases say; ab:<share> is another."""
_STATUS_TAG: Final = "ringcraft.status"
_SINCE_TAG: Final = "ringcraft.since"
_RETIRED: Final = "retired"
_DAY_S: Final = 86_400.0


class RetentionRequest(Struct, frozen=True, kw_only=True):
    """What may go."""

    mlflow_uri: str
    experiment: str = "ringcraft"
    keep_days: float = 30.0
    """Younger ones stay."""
    keep_versions: int = 10
    """Newest versions of every model that stay whatever their age."""
    models: tuple[str, ...] = ()
    """None named: all, of which only versions that `ringcraft train` made, and every run of the experiment."""
    work: tuple[str, ...] = ()
    """Working folders whose old versions/ and evidence/ go too; the registry holds their copies."""
    dry_run: bool = False


class RetentionResult(Struct, frozen=True, kw_only=True):
    """What went, or would go."""

    dry_run: bool
    versions: tuple[str, ...]
    """As model/version."""
    runs: tuple[str, ...]
    folders: tuple[str, ...]
    kept: dict[str, str]
    """Old versions that stay all the same, and why."""


@flow(name="retention", flow_run_name="retention of {request.experiment}", validate_parameters=False)
def retention_flow(request: RetentionRequest) -> RetentionResult:
    """Delete what is old and pointed at by nothing; a version with an alias is never touched, nor its run.

    Aliases are read again just before each deletion: one that was moved meanwhile keeps its version.

    Raises:
        UsageError: a number that is not positive, or an experiment that is not there.
    """
    result = _cleaned(request)
    rows = [{"what": "version", "name": name} for name in result.versions]
    rows += [{"what": "run", "name": name} for name in result.runs]
    rows += [{"what": "folder", "name": name} for name in result.folders]
    rows += [{"what": "kept", "name": name, "why": why} for name, why in result.kept.items()]
    would = "would be deleted" if request.dry_run else "deleted"
    artifacts.table("retention", request.experiment, rows, f"{len(result.versions)} versions {would}")
    return result


@task(task_run_name="clean {request.experiment}", cache_policy=NO_CACHE)
def _cleaned(request: RetentionRequest) -> RetentionResult:
    return clean(request, now_s=time.time())


def clean(request: RetentionRequest, *, now_s: float) -> RetentionResult:
    """Delete what `request` lets go; see retention_flow."""
    if request.keep_days <= 0 or request.keep_versions < 1:
        got = f"{request.keep_days:g} and {request.keep_versions}"
        raise UsageError(f"retention: expected keep_days over 0 and keep_versions of 1 or more, got {got}")
    client = MlflowClient(request.mlflow_uri, registry_uri=request.mlflow_uri)
    experiment = client.get_experiment_by_name(request.experiment)
    if experiment is None:
        raise UsageError(f"retention: expected an experiment {request.experiment!r}, found none")
    before_ms = int((now_s - request.keep_days * _DAY_S) * 1000)
    versions, kept, needed = _old_versions(client, request, before_ms)
    gone = [f"{v.name}/{v.version}" for v in versions if request.dry_run or _delete(client, v, kept, needed)]
    theirs = {run for v in versions if f"{v.name}/{v.version}" in gone for run in _runs_of(v)}
    runs = [
        run.info.run_id
        for run in _runs(client, experiment.experiment_id)
        if run.info.start_time < before_ms
        and run.info.run_id not in needed
        and run.info.status != "RUNNING"
        and (not request.models or run.info.run_id in theirs)
    ]
    if not request.dry_run:
        for run in runs:
            client.delete_run(run)
    folders = _old_folders(request.work, before_ms / 1000)
    if not request.dry_run:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            refuse(folder, None)
        for mark in _left_marks(request.work):
            mark.unlink(missing_ok=True)
    return RetentionResult(
        dry_run=request.dry_run,
        versions=tuple(gone),
        runs=tuple(runs),
        folders=tuple(str(folder) for folder in folders),
        kept=kept,
    )


def _old_versions(
    client: MlflowClient, request: RetentionRequest, before_ms: int
) -> tuple[list[Any], dict[str, str], set[str]]:
    old, kept, needed = [], {}, set()
    for model in _pages(lambda token: client.search_registered_models(max_results=100, page_token=token)):
        if request.models and model.name not in request.models:
            needed |= {run for v in _versions(client, model.name) for run in _runs_of(v)}
            continue
        versions = sorted(_versions(client, model.name), key=lambda v: int(v.version), reverse=True)
        former = _former_champion(versions)
        for place, version in enumerate(versions):
            made_here = bool(request.models) or BUILD_TAG in version.tags
            if place < request.keep_versions or version.creation_timestamp >= before_ms or not made_here:
                needed.update(_runs_of(version))
                continue
            why = "the champion before this one" if version is former else _why_kept(client, version)
            if why is None:
                old.append(version)
            else:
                kept[f"{model.name}/{version.version}"] = why
                needed.update(_runs_of(version))
    return old, kept, needed


def _former_champion(versions: list[Any]) -> Any | None:  # noqa: ANN401  MLflow's own type
    """Return the version that the champion took the place of: while it bakes, and by hand, a rollback goes there."""
    retired = [version for version in versions if version.tags.get(_STATUS_TAG) == _RETIRED]
    return max(retired, key=lambda version: version.tags.get(_SINCE_TAG, ""), default=None)


def _why_kept(client: MlflowClient, version: Any) -> str | None:  # noqa: ANN401  MLflow's own type
    aliases = client.get_registered_model(version.name).aliases
    held = sorted(alias for alias, number in aliases.items() if int(number) == int(version.version))
    if held:
        return f"alias {', '.join(held)}"
    status = version.tags.get(_STATUS_TAG, "")
    return f"status {status}" if status in SAFE_STATUS or status.startswith("ab:") else None


def _delete(client: MlflowClient, version: Any, kept: dict[str, str], needed: set[str]) -> bool:  # noqa: ANN401
    why = _why_kept(client, client.get_model_version(version.name, version.version))
    if why is not None:
        kept[f"{version.name}/{version.version}"] = why
        needed.update(_runs_of(version))
        return False
    client.delete_model_version(version.name, version.version)
    return True


def _runs_of(version: Any) -> set[str]:  # noqa: ANN401
    # A version registered by hand has no run of its own, but one with its evidence.
    return {version.run_id, version.tags.get("ringcraft.evidence_run", "")}


def _runs(client: MlflowClient, experiment: str) -> Iterable[Any]:
    return _pages(lambda token: client.search_runs([experiment], max_results=500, page_token=token))


def _versions(client: MlflowClient, model: str) -> list[Any]:
    mark = '"' if "'" in model else "'"
    asked = f"name={mark}{model}{mark}"
    return list(_pages(lambda token: client.search_model_versions(asked, max_results=200, page_token=token)))


def _pages(page: Any) -> Iterable[Any]:  # noqa: ANN401  a question that takes a token
    token = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return


def _old_folders(work: tuple[str, ...], before_s: float) -> list[Path]:
    places = [place for root in work for name in ("versions", "evidence") for place in Path(root).glob(f"{name}/*")]
    return [place for place in places if place.is_dir() and place.stat().st_mtime < before_s]


def _left_marks(work: tuple[str, ...]) -> list[Path]:
    """Return the refusals of versions whose folders are gone."""
    return [mark for root in work for mark in marks(Path(root) / "versions") if not folder_of(mark).exists()]
