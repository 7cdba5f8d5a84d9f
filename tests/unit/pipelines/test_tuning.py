"""Studies that go on after their process was killed, are shared by processes, and weigh several objectives."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.cli import ROOT
from support.postgres import running_postgres

from data_contracts.errors import UsageError
from models.dataset import Dataset
from models.families import family
from models.folds import walk_forward
from models.labels import classify
from pipelines.steps.tune import Study, tune


def prepared(rows: int = 900) -> SimpleNamespace:
    generator = np.random.default_rng(3)
    features = generator.normal(size=(rows, 4)).astype(np.float32)
    move = features[:, 0] + generator.normal(size=rows)
    times = np.arange(rows) * 1_000_000_000
    data = Dataset(
        features=features,
        classes=classify(move, 0.5),
        event_ns=times,
        buy_pnl_bps=move - 0.2,
        sell_pnl_bps=-move - 0.2,
        mid_move_bps=move,
        exit_half_spread_bps=np.full(rows, 0.2),
        end_ns=times + 1,
        places=np.arange(rows),
        vectors=features,
        names=tuple("abcd"),
        horizon_ns=1,
    )
    return SimpleNamespace(learn=data, folds=walk_forward(times, folds=2, end_ns=data.end_ns, embargo_ns=0))


def study_of(folder: Path, **more: object) -> Study:
    return Study(storage=f"sqlite:///{folder / 'studies.sqlite'}", **more)  # type: ignore[arg-type]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {here!r}]
from test_tuning import prepared, study_of
from models.families import family
from pipelines.steps import tune as tuning
real, calls = tuning.losses, []
def dying(*arguments):
    calls.append(1)
    if len(calls) > 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
tuning.losses = dying
tuning.tune(family("logistic"), prepared(), trials=5, seed=1, study=study_of(Path({folder!r})))
"""


def test_folder_of_a_study_may_have_braces_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "{a run}"
    done = tune(family("logistic"), prepared(), trials=1, seed=1, study=study_of(folder))
    assert len(done.trials) == 1
    assert (folder / "studies.sqlite").is_file()


def test_killed_study_goes_on_and_comes_to_what_it_would_have_come_to(tmp_path: Path) -> None:
    here = Path(__file__).parent
    code = KILLED.format(tests=str(here.parents[1]), here=str(here), folder=str(tmp_path))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=250)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = tune(family("logistic"), prepared(), trials=5, seed=1, study=study_of(tmp_path))
    states = [row["state"] for row in resumed.trials]
    assert states.count("FAIL") == 1
    assert len(states) == 6
    whole = tune(family("logistic"), prepared(), trials=5, seed=1)
    assert resumed.config == whole.config
    assert resumed.loss == whole.loss
    assert resumed.plots["study_history.png"].startswith(b"\x89PNG")
    again = tune(family("logistic"), prepared(), trials=5, seed=1, study=study_of(tmp_path))
    assert len(again.trials) == 6


def test_several_objectives_give_a_front_and_the_best_of_it_by_the_first(tmp_path: Path) -> None:
    asked = Study(objectives=("net_pnl_bps", "latency_us", "bytes"))
    found = tune(family("logistic"), prepared(), trials=4, seed=1, study=asked)
    front = [row for row in found.trials if row["best"]]
    assert found.loss == max(row["net_pnl_bps"] for row in front)
    assert all(row["bytes"] > 0 and row["latency_us"] > 0 for row in found.trials)
    assert "study_front.png" in found.plots


@pytest.mark.long
def test_processes_share_a_study_in_postgresql(tmp_path: Path) -> None:
    with running_postgres() as server:
        storage = server.url.replace("postgresql://", "postgresql+psycopg://")
        asked = Study(storage=storage, workers=2)
        found = tune(family("logistic"), prepared_whole(), trials=6, seed=1, study=asked)
    done = [row for row in found.trials if row["state"] in ("COMPLETE", "PRUNED")]
    assert 6 <= len(done) <= 7


def prepared_whole() -> SimpleNamespace:
    return prepared(600)


@pytest.mark.parametrize(
    ("study", "says"),
    [
        (Study(objectives=("sharpe",)), "expected objectives among loss, net_pnl_bps, latency_us, bytes"),
        (Study(workers=2), "several workers need a storage to share"),
    ],
)
def test_what_cannot_be_tuned_is_said(study: Study, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        tune(family("logistic"), prepared(), trials=2, seed=1, study=study)
