"""A training run in MLflow: parameters, metrics, plots, study, contract."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from data_contracts.expectations import ContractReport
from data_contracts.manifest import Manifest
from data_contracts.quarantine import as_html
from models.families.port import params_of
from pipelines.identity import PLACES
from pipelines.request import TrainRequest
from pipelines.steps.fit import FittedFamily
from pipelines.steps.publish import BUILD_TAG
from pipelines.steps.tune import Tuned


class Run:
    """One MLflow run of one family; without an address nothing is tracked and there is no run id."""

    def __init__(self, request: TrainRequest, family: str, build: str) -> None:
        """Start the run, in the request's experiment, or take up the one that an equal flow run left there."""
        self._client = MlflowClient(request.mlflow_uri) if request.mlflow_uri else None
        self.id: str | None = None
        if self._client is not None:
            experiment = _experiment(self._client, request.experiment)
            left = self._client.search_runs([experiment], f"tags.`{BUILD_TAG}` = '{build}'", max_results=1)
            if left:
                self.id = left[0].info.run_id
                return
            name, tags = f"train {request.model} {family}", {BUILD_TAG: build}
            self.id = self._client.create_run(experiment, run_name=name, tags=tags).info.run_id

    def log(self, request: TrainRequest, fitted: FittedFamily, manifest: Manifest) -> None:
        """Keep what was asked for, what was chosen, and how it did."""
        if self._client is None or self.id is None:
            return
        # A run that is taken up may have been asked for from elsewhere, and MLflow lets no parameter change.
        params = {name: getattr(request, name) for name in request.__struct_fields__ if name not in PLACES}
        params |= {f"{fitted.family}.{name}": value for name, value in params_of(fitted.config).items()}
        params |= {"threshold": manifest.rule.threshold, "feature_set": manifest.feature_set}
        self._client.log_batch(
            self.id,
            metrics=[Metric(name, value, 0, 0) for name, value in _numbers(manifest).items()],
            params=[Param(name, str(value)[:500]) for name, value in params.items()],
            tags=[RunTag("ringcraft.family", fitted.family), RunTag("ringcraft.source_commit", manifest.source_commit)],
        )

    def keep(self, files: Mapping[str, bytes], work: Path) -> None:
        """Upload `files` by name under evidence/, by way of a folder under `work`."""
        if self._client is None or self.id is None:
            return
        folder = work / "evidence" / self.id
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self._client.log_artifacts(self.id, str(folder), "evidence")

    def end(self, *, failed: bool = False) -> None:
        """Close the run."""
        if self._client is not None and self.id is not None:
            self._client.set_terminated(self.id, "FAILED" if failed else "FINISHED")


def study_file(tuned: Tuned | None) -> dict[str, bytes]:
    """Return the study's trials as one file, and its plots; nothing where nothing was tuned."""
    if tuned is None:
        return {}
    return {"study.json": msgspec.json.format(msgspec.json.encode(tuned.trials)), **tuned.plots}


def contract_files(reports: tuple[ContractReport, ...]) -> dict[str, bytes]:
    """Return one page a recording that says what was expected of it and seen."""
    return {f"contract_{index}.html": as_html(report).encode() for index, report in enumerate(reports)}


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found is not None else client.create_experiment(name))


def _numbers(manifest: Manifest) -> dict[str, float]:
    named: dict[str, Any] = {}
    for name, estimate in manifest.metrics.items():
        named |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    if manifest.compression is not None:
        named |= {
            "original_bytes": manifest.compression.original_bytes,
            "compressed_bytes": manifest.compression.compressed_bytes,
        }
    if manifest.latency is not None:
        named |= {"latency_p50_us": manifest.latency.p50_us, "latency_p99_us": manifest.latency.p99_us}
    return {name: float(value) for name, value in named.items() if value is not None and math.isfinite(value)}
