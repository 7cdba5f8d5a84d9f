"""kill -9 in the middle of publishing, and the same command again: one version, one run, nothing learnt twice."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import ROOT, about, environment, wait_for

from market_data.simulator import simulate
from registry.mlflow_registry import MlflowRegistry


@pytest.mark.long
@pytest.mark.timeout(900)
def test_training_killed_while_it_publishes_makes_one_version(mlflow_uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    recording = tmp_path / "day.itch50"
    simulate(recording, seed=3, events=4000)
    registry = MlflowRegistry(mlflow_uri)

    paths = f"{ROOT}:{ROOT / 'tests'}"

    def train(when: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "support.dying_training", mlflow_uri, str(tmp_path), str(recording), when]
        with (tmp_path / f"{when}.log").open("wb") as log:
            done = subprocess.run(
                command, stdout=log, stderr=log, timeout=280, env=environment() | {"PYTHONPATH": paths}
            )
        wait_for(lambda: not about(tmp_path), "the killed flow's own Prefect server to end", timeout_s=10)
        return done.returncode, (tmp_path / f"{when}.log").read_text()

    assert train("files-are-there")[0] == -signal.SIGKILL
    assert "killed" not in registry.models() or registry.versions("killed") == []
    assert train("version-is-there")[0] == -signal.SIGKILL
    assert [v.version for v in registry.versions("killed")] == [1]
    code, said = train("never")
    assert code == 0, said
    version, new, run = next(line for line in said.splitlines() if line.startswith("1 ")).split()
    assert (version, new) == ("1", "False")
    assert [v.version for v in registry.versions("killed")] == [1]
    assert registry.version("killed", 1).run_id == run
    client = MlflowClient(mlflow_uri)
    assert client.get_run(run).info.status == "FINISHED"
    experiment = client.get_experiment_by_name("ringcraft")
    assert experiment is not None
    named = [r for r in client.search_runs([experiment.experiment_id]) if r.info.run_name == "train killed logistic"]
    assert len(named) == 1
