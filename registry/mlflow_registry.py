"""The registry port over an MLflow server.

Only what mlflow-skinny offers is used, and only over HTTP: the controller carries no database driver.
"""

import math
import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from data_contracts.errors import AliasNotSetError, ModelNotFoundError, UsageError, VersionNotFoundError
from registry.files import empty_folder, must_hold_files
from registry.mlflow_errors import said_plainly
from registry.mlflow_files import copy_files, served_path
from registry.mlflow_rest import MlflowRest
from registry.mlflow_vendor import (
    MlflowClient,
    MlflowException,
    MlflowVersion,
    download_artifacts,
    list_artifacts,
)
from registry.port import ModelLook, ModelVersion
from registry.swap import Swap, swap

EXPERIMENT: Final = "ringcraft"
"""Experiment of the runs that publish and log_evidence make."""
FILES_PATH: Final = "model"
EVIDENCE_PATH: Final = "ringcraft"
EVIDENCE_RUN_TAG: Final = "ringcraft.evidence_run"
CARD_FILE: Final = "card.md"
"""A published file of this name becomes the version's description in MLflow's UI."""
_DESCRIPTION_LIMIT: Final = 5000
_PAGE: Final = 200


class MlflowRegistry:
    """Keeps the promises of registry.port.ModelRegistry against an MLflow server.

    Every request is tried once and waits `timeout_s` at most, so that a caller learns quickly that the server is gone.
    MLflow's client reads both from the process's environment, which is why making a driver sets
    MLFLOW_HTTP_REQUEST_MAX_RETRIES and MLFLOW_HTTP_REQUEST_TIMEOUT for the whole process.
    """

    def __init__(self, uri: str, *, timeout_s: float = 5.0) -> None:
        """Make a driver; nothing is asked of the server yet.

        Args:
            uri: http(s) address of the tracking and registry server.
            timeout_s: longest wait for one answer; MLflow's own client takes whole seconds, so it is rounded up there.

        Raises:
            UsageError: not an http(s) address.
        """
        if urlsplit(uri).scheme not in ("http", "https"):
            raise UsageError(f"mlflow.uri: expected http://host:port or https://host:port, got {uri!r}")
        self._uri = uri.rstrip("/")
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, math.ceil(timeout_s)))
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        self._client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        self._rest = MlflowRest(self._uri, timeout_s=timeout_s)

    def models(self) -> list[str]:
        """See ModelRegistry."""
        names: list[str] = []
        token: str | None = None
        with said_plainly(self._uri):
            while True:
                page = self._client.search_registered_models(max_results=_PAGE, page_token=token)
                names += [found.name for found in page]
                token = page.token
                if not token:
                    return sorted(names)

    def versions(self, model: str) -> list[ModelVersion]:
        """See ModelRegistry."""
        self._rest.registered_model(model)
        found: list[MlflowVersion] = []
        token: str | None = None
        mark = '"' if "'" in model else "'"
        with said_plainly(self._uri, ModelNotFoundError(model)):
            while True:
                page = self._client.search_model_versions(
                    f"name={mark}{model}{mark}", max_results=_PAGE, page_token=token
                )
                found += page
                token = page.token
                if not token:
                    return sorted((_ours(version) for version in found), key=lambda version: version.version)

    def version(self, model: str, version: int) -> ModelVersion:
        """See ModelRegistry."""
        found = self._rest.version(model, version)
        return ModelVersion(
            model=found.name, version=int(found.version), tags=found.tag_map(), run_id=found.run_id or None
        )

    def aliases(self, model: str) -> dict[str, int]:
        """See ModelRegistry."""
        return self._rest.registered_model(model).alias_map()

    def model_tags(self, model: str) -> dict[str, str]:
        """See ModelRegistry."""
        return self._rest.registered_model(model).tag_map()

    def look(self, model: str) -> ModelLook:
        """See ModelRegistry."""
        found = self._rest.registered_model(model)
        return ModelLook(aliases=found.alias_map(), tags=found.tag_map())

    def set_model_tags(self, model: str, tags: Mapping[str, str]) -> None:
        """See ModelRegistry."""
        for key, value in tags.items():
            self._rest.set_model_tag(model, key, value)

    def delete_model_tag(self, model: str, key: str) -> None:
        """See ModelRegistry."""
        if key in self.model_tags(model):
            self._rest.delete_model_tag(model, key)

    def resolve(self, model: str, alias: str) -> int:
        """See ModelRegistry."""
        version = self.aliases(model).get(alias)
        if version is None:
            raise AliasNotSetError(model, alias)
        return version

    def move_alias(self, model: str, alias: str, version: int) -> int | None:
        """See ModelRegistry.

        MLflow has no compare-and-set: the version returned was read just before the move.
        """
        before = self._version_aliases(model, version).get(alias)
        self._rest.set_alias(model, alias, version)
        return before

    def delete_alias(self, model: str, alias: str) -> int | None:
        """See ModelRegistry."""
        before = self.aliases(model).get(alias)
        if before is not None:
            self._rest.delete_alias(model, alias)
        return before

    def swap_alias(self, model: str, alias: str, *, expected: Collection[int | None], target: int | None) -> Swap:
        """See ModelRegistry."""

        def write(version: int | None) -> None:
            if version is None:
                self._rest.delete_alias(model, alias)
            else:
                self._rest.set_alias(model, alias, version)

        return swap(lambda: self.aliases(model).get(alias), write, expected=expected, target=target)

    def set_version_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """See ModelRegistry."""
        if not tags:
            self._rest.version(model, version)
        for key, value in tags.items():
            self._rest.set_version_tag(model, version, key, value)

    def publish(self, model: str, folder: Path, *, tags: Mapping[str, str], run_id: str | None = None) -> int:
        """See ModelRegistry.

        The files lie under `model/` of the run, or `model-2/` and so on where an earlier version took that place.
        """
        must_hold_files(folder)
        with said_plainly(self._uri):
            self._make_model(model)
            run = run_id or self._make_run(f"publish {model}")
            place = self._free_place(run) if run_id else FILES_PATH
            self._client.log_artifacts(run, str(folder), place)
            if run_id is None:
                self._client.set_terminated(run)
            made = self._client.create_model_version(
                model,
                f"{self._client.get_run(run).info.artifact_uri}/{place}",
                run_id=run,
                tags=dict(tags),
                description=_description(folder),
                await_creation_for=0,
            )
        return int(made.version)

    def fetch(self, model: str, version: int, folder: Path) -> None:
        """See ModelRegistry.

        The files come into a folder beside `folder` first: whoever sees `folder` filled sees all of it.
        """
        gone = VersionNotFoundError(model, version)
        empty_folder(folder)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as part:
            source = self._rest.artifact_uri(model, version)
            path = served_path(source)
            if path is not None:
                came = Path(part) / "files"
                if not copy_files(self._rest, path, came, gone):
                    raise gone
            else:
                came = self._downloaded(source, part, gone)
            came.replace(folder)

    def _downloaded(self, source: str, part: str, gone: VersionNotFoundError) -> Path:
        with said_plainly(self._uri, gone):
            if not list_artifacts(artifact_uri=source, tracking_uri=self._uri):
                raise gone
            return Path(download_artifacts(artifact_uri=source, dst_path=part, tracking_uri=self._uri))

    def log_evidence(self, model: str, version: int, name: str, content: bytes) -> str:
        """See ModelRegistry.

        Returns:
            Path among the artifacts of the version's run; short, because MLflow's page of a version shows few lines
            of tags.
        """
        run = self._evidence_run(model, version)
        place = _evidence_place(model, version)
        with tempfile.TemporaryDirectory() as part, said_plainly(self._uri, VersionNotFoundError(model, version)):
            file = Path(part) / name
            file.write_bytes(content)
            self._client.log_artifact(run, str(file), place)
        return f"{place}/{name}"

    def evidence(self, model: str, version: int, name: str) -> bytes:
        """Return what log_evidence kept under `name`.

        Raises:
            VersionNotFoundError: `version` was never registered.
            RegistryUnavailableError: no answer, or nothing kept under that name.
        """
        run = self._evidence_run(model, version)
        with tempfile.TemporaryDirectory() as part, said_plainly(self._uri, VersionNotFoundError(model, version)):
            place = f"{_evidence_place(model, version)}/{name}"
            return Path(self._client.download_artifacts(run, place, part)).read_bytes()

    def _version_aliases(self, model: str, version: int) -> dict[str, int]:
        try:
            return self.aliases(model)
        except ModelNotFoundError:
            raise VersionNotFoundError(model, version) from None

    def _make_model(self, model: str) -> None:
        try:
            self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _make_run(self, name: str) -> str:
        return str(self._client.create_run(self._experiment(), run_name=name).info.run_id)

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(EXPERIMENT))
        except MlflowException as error:
            # Another process made it in between.
            found = self._client.get_experiment_by_name(EXPERIMENT)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
            return str(found.experiment_id)

    def _free_place(self, run: str) -> str:
        # Versions are immutable: a second one from the same run must not overwrite the first one's files.
        taken = {entry.path for entry in self._client.list_artifacts(run)}
        places = (FILES_PATH, *(f"{FILES_PATH}-{number}" for number in range(2, len(taken) + 3)))
        return next(place for place in places if place not in taken)

    def _evidence_run(self, model: str, version: int) -> str:
        # A version registered by hand may have no run; it gets one, and remembers it.
        known = self.version(model, version)
        run = known.run_id or known.tags.get(EVIDENCE_RUN_TAG)
        if run:
            return run
        with said_plainly(self._uri):
            run = self._make_run(f"evidence {model} {version}")
            self._client.set_terminated(run)
        self.set_version_tags(model, version, {EVIDENCE_RUN_TAG: run})
        return run


def _ours(version: MlflowVersion) -> ModelVersion:
    return ModelVersion(
        model=version.name, version=int(version.version), tags=dict(version.tags), run_id=version.run_id or None
    )


def _evidence_place(model: str, version: int) -> str:
    return f"{EVIDENCE_PATH}/{quote(model, safe=' ')}-{version}"


def _description(folder: Path) -> str | None:
    card = folder / CARD_FILE
    return card.read_text(encoding="utf-8", errors="replace")[:_DESCRIPTION_LIMIT] if card.is_file() else None
