"""A training run in MLflow: parameters, metrics, plots, study, contract."""

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from data_contracts.data_docs import data_docs
from data_contracts.errors import RegistryError
from data_contracts.expectations import ContractReport
from data_contracts.manifest import Manifest, Spread
from data_contracts.quarantine import as_html
from models.families.port import params_of
from pipelines.identity import PLACES
from pipelines.request import TrainRequest
from pipelines.steps.publish import BUILD_TAG
from pipelines.steps.trials import Tried
from pipelines.steps.tune import Tuned
from registry.mlflow_errors import said_plainly


class Run:
    """One MLflow run of one family; without an address nothing is tracked and there is no run id."""

    def __init__(self, request: TrainRequest, family: str, build: str, *, what: str = "train") -> None:
        """Start the run, in the request's experiment, or take up the one that an equal flow run left there.

        Args:
            request: what was asked for.
            family: of which a run keeps the answer.
            build: key of the run.
            what: was done; a run that is taken up is named after what is done now.

        Raises:
            RegistryUnavailableError: MLflow does not answer; here as in every other method.
            RegistryError: it refuses.
        """
        self._uri = request.mlflow_uri or ""
        self._client = MlflowClient(request.mlflow_uri) if request.mlflow_uri else None
        self.id: str | None = None
        if self._client is None:
            return
        with said_plainly(self._uri):
            experiment = _experiment(self._client, request.experiment)
            left = self._client.search_runs([experiment], f"tags.`{BUILD_TAG}` = '{build}'", max_results=1)
            name, tags = f"{what} {request.model} {family}", {BUILD_TAG: build}
            if left:
                self.id = left[0].info.run_id
                self._client.update_run(self.id, name=name)
                return
            self.id = self._client.create_run(experiment, run_name=name, tags=tags).info.run_id

    def log(
        self,
        request: TrainRequest,
        family: str,
        config: object,
        manifest: Manifest | None = None,
        tried: Tried | None = None,
    ) -> None:
        """Keep what was asked for, tried and chosen, and how it did where there is a version."""
        if self._client is None or self.id is None:
            return
        # A run that is taken up may have been asked for from elsewhere, and MLflow lets no parameter change.
        left_out = PLACES | {"families", "feature_set"} | ({"seeds"} if manifest is None else set())
        params = {name: getattr(request, name) for name in request.__struct_fields__ if name not in left_out}
        if config is not None:
            params |= {f"{family}.{name}": value for name, value in params_of(config).items()}
        tags, numbers = {"ringcraft.family": family} | (tried.tags() if tried else {}), dict[str, float]()
        if manifest is not None:
            params |= {"threshold": manifest.rule.threshold, "feature_set": manifest.feature_set}
            tags["ringcraft.source_commit"], numbers = manifest.source_commit, _numbers(manifest)
        with said_plainly(self._uri):
            self._client.log_batch(
                self.id,
                metrics=[Metric(name, value, 0, 0) for name, value in numbers.items()],
                params=[Param(name, str(value)[:500]) for name, value in params.items()],
                tags=[RunTag(name, value) for name, value in tags.items()],
            )

    def keep(self, files: Mapping[str, bytes], work: Path) -> None:
        """Upload `files` by their path under evidence/, by way of a folder under `work`."""
        if self._client is None or self.id is None or not files:
            return
        folder = work / "evidence" / self.id
        shutil.rmtree(folder, ignore_errors=True)  # data docs are named after the time of the check
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        with said_plainly(self._uri):
            self._client.log_artifacts(self.id, str(folder), "evidence")

    def end(self, *, failed: bool = False) -> None:
        """Close the run."""
        if self._client is not None and self.id is not None:
            with said_plainly(self._uri):
                self._client.set_terminated(self.id, "FAILED" if failed else "FINISHED")


@contextmanager
def run(request: TrainRequest, family: str, build: str, *, what: str = "train") -> Iterator[Run]:
    """Give the run, and close it: failed, where what is done meanwhile fails."""
    begun = Run(request, family, build, what=what)
    try:
        yield begun
    except Exception as error:
        try:
            begun.end(failed=True)
        except RegistryError as second:  # often of the same cause: what came first is what to be told
            error.add_note(f"the run {begun.id} could not be closed either: {second}")
        raise
    begun.end()


def study_file(tuned: Tuned | None) -> dict[str, bytes]:
    """Return the study's trials as one file, and its plots; nothing where nothing was tuned."""
    if tuned is None:
        return {}
    return {"study.json": msgspec.json.format(msgspec.json.encode(tuned.trials)), **tuned.plots}


def contract_files(reports: tuple[ContractReport, ...]) -> dict[str, bytes]:
    """Return one page a table that says what was expected of it and seen, and Great Expectations' own site of all."""
    pages = {f"contract_{index}.html": as_html(report).encode() for index, report in enumerate(reports)}
    return pages | {f"data_docs/{path}": content for path, content in data_docs(reports).items()}


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found is not None else client.create_experiment(name))


def _numbers(manifest: Manifest) -> dict[str, float]:
    named: dict[str, Any] = {}
    for name, estimate in manifest.metrics.items():
        named |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    if manifest.seeds is not None:
        named |= _over_seeds(manifest.seeds.held_out, "") | _over_seeds(manifest.seeds.walk_forward, "walk_forward_")
    if manifest.compression is not None:
        named |= {
            "original_bytes": manifest.compression.original_bytes,
            "compressed_bytes": manifest.compression.compressed_bytes,
        }
    if manifest.latency is not None:
        named |= {"latency_p50_us": manifest.latency.p50_us, "latency_p99_us": manifest.latency.p99_us}
    return {name: float(value) for name, value in named.items() if value is not None and math.isfinite(value)}


def _over_seeds(figures: Mapping[str, Spread], of: str) -> dict[str, float]:
    return {
        f"seeds_{of}{name}_{part}": getattr(each, part)
        for name, each in figures.items()
        for part in ("low", "mean", "high")
    }
