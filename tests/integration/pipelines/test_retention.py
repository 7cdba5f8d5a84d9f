"""Cleaning up against a real MLflow server: what an alias points at stays, whatever its age."""

import os
import time
from pathlib import Path

import pytest
from support.tier import version_folder

from data_contracts.errors import UsageError
from pipelines.retention import RetentionRequest, clean
from pipelines.steps.proof import folder_of, marks, refuse
from pipelines.steps.publish import BUILD_TAG
from registry.mlflow_registry import EXPERIMENT, MlflowRegistry

MODEL = "retention-test"
DAY_S = 86_400.0


@pytest.fixture(scope="module")
def registry(mlflow_uri: str, tmp_path_factory: pytest.TempPathFactory) -> MlflowRegistry:
    made = MlflowRegistry(mlflow_uri)
    folder = version_folder(tmp_path_factory.mktemp("version") / "v")
    for build in range(6):
        made.publish(MODEL, folder, tags={BUILD_TAG: f"b{build}"})
    made.move_alias(MODEL, "champion", 2)
    made.set_version_tags(MODEL, 3, {"ringcraft.status": "ab:0.2"})
    return made


def asked(uri: str, **more: object) -> RetentionRequest:
    return RetentionRequest(
        mlflow_uri=uri, experiment=EXPERIMENT, models=(MODEL,), keep_days=30.0, keep_versions=2, **more
    )


def test_young_versions_stay(registry: MlflowRegistry, mlflow_uri: str) -> None:
    assert clean(asked(mlflow_uri), now_s=time.time()).versions == ()
    assert len(registry.versions(MODEL)) == 6


def test_dry_run_says_what_would_go_and_the_run_deletes_just_that(
    registry: MlflowRegistry, mlflow_uri: str, tmp_path: Path
) -> None:
    old, young = tmp_path / "versions" / "old", tmp_path / "versions" / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    gone = tmp_path / "versions" / "gone"
    for folder in (old, young, gone):
        refuse(folder, "not better")
    os.utime(old, (time.time() - 40 * DAY_S,) * 2)
    late = time.time() + 31 * DAY_S
    os.utime(young, (late, late))
    would = clean(asked(mlflow_uri, dry_run=True, work=(str(tmp_path),)), now_s=late)
    assert set(would.versions) == {f"{MODEL}/1", f"{MODEL}/4"}
    assert would.kept == {f"{MODEL}/2": "alias champion", f"{MODEL}/3": "status ab:0.2"}
    assert would.folders == (str(old),)
    assert len(registry.versions(MODEL)) == 6
    assert old.is_dir()
    assert [folder_of(mark) for mark in marks(tmp_path / "versions")] == [gone, old, young]
    runs = {v.version: v.run_id for v in registry.versions(MODEL)}
    assert {runs[1], runs[4]} == set(would.runs)
    done = clean(asked(mlflow_uri, work=(str(tmp_path),)), now_s=late)
    assert (done.versions, done.runs, done.folders) == (would.versions, would.runs, would.folders)
    assert young.is_dir()
    assert not old.exists()
    assert [folder_of(mark) for mark in marks(tmp_path / "versions")] == [young]
    assert [v.version for v in registry.versions(MODEL)] == [2, 3, 5, 6]


def test_alias_that_is_set_meanwhile_saves_its_version(registry: MlflowRegistry, mlflow_uri: str) -> None:
    from mlflow import MlflowClient

    from pipelines.retention import _delete

    client = MlflowClient(mlflow_uri)
    version = client.get_model_version(MODEL, "5")
    registry.move_alias(MODEL, "shadow", 5)
    kept: dict[str, str] = {}
    assert not _delete(client, version, kept, set())
    assert kept == {f"{MODEL}/5": "alias shadow"}
    assert registry.version(MODEL, 5).version == 5


def test_what_is_wrong_with_the_request_is_said(mlflow_uri: str) -> None:
    with pytest.raises(UsageError, match="keep_versions of 1 or more, got 30 and 0"):
        clean(RetentionRequest(mlflow_uri=mlflow_uri, keep_versions=0), now_s=0.0)
    with pytest.raises(UsageError, match="found none"):
        clean(RetentionRequest(mlflow_uri=mlflow_uri, experiment="none-such"), now_s=0.0)


def test_champion_before_this_one_stays_for_a_rollback_to_go_back_to(mlflow_uri: str, tmp_path: Path) -> None:
    registry, model = MlflowRegistry(mlflow_uri), "retention-of-retired"
    folder = version_folder(tmp_path / "v")
    for build in range(4):
        registry.publish(model, folder, tags={BUILD_TAG: f"c{build}"})
    registry.move_alias(model, "champion", 4)
    for version, day in ((1, 2), (2, 9), (3, 5)):
        registry.set_version_tags(
            model, version, {"ringcraft.status": "retired", "ringcraft.since": f"2026-01-0{day}T00:00:00Z"}
        )
    request = RetentionRequest(mlflow_uri=mlflow_uri, experiment=EXPERIMENT, models=(model,), keep_versions=1)
    done = clean(request, now_s=time.time() + 31 * DAY_S)
    assert done.kept == {f"{model}/2": "the champion before this one"}
    assert [v.version for v in registry.versions(model)] == [2, 4]
