"""`ringcraft train` as typed, against a real MLflow server."""

import json
from pathlib import Path

import pytest
from support.cli import one_line, ringcraft

from market_data.simulator import simulate
from registry.mlflow_registry import MlflowRegistry


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "day.itch50"
    simulate(path, seed=3, events=5000)
    return path


@pytest.mark.slow
def test_trained_version_is_registered_and_the_answer_is_json_alone(
    recording: Path, mlflow_uri: str, tmp_path: Path
) -> None:
    options = ("--family", "logistic", "--trials", 1, "--horizon-s", 2, "--alias", "champion", "--work", "work")
    command = ("train", recording, "--model", "train-command", "--fast", "--json", *options)
    result = ringcraft(*command, cwd=tmp_path, RINGCRAFT_MLFLOW__URI=mlflow_uri)
    assert result.returncode == 0, result.stderr
    (version,) = json.loads(result.stdout)["versions"]
    assert MlflowRegistry(mlflow_uri).aliases("train-command") == {"champion": version["version"]}
    assert "Traceback" not in result.stderr
    assert "of the moves labelled pay the spread and fees" in " ".join(result.stderr.split())


def test_without_a_registry_nothing_is_trained(recording: Path, tmp_path: Path) -> None:
    result = ringcraft("train", recording, "--model", "m", cwd=tmp_path, RINGCRAFT_MLFLOW__URI="http://127.0.0.1:9")
    assert result.returncode == 3
    assert "no MLflow server answers" in one_line(result)


def test_registry_is_asked_for_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "day.itch50").write_bytes(b"no recording")
    result = ringcraft("train", "day.itch50", "--model", "m", cwd=tmp_path, RINGCRAFT_MLFLOW__URI="http://127.0.0.1:9")
    assert result.returncode == 3
    assert "no MLflow server answers" in one_line(result)
