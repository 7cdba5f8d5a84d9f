"""Families learnt by processes of a real Dask and a real Ray cluster come out as they do here."""

import os
import threading
from pathlib import Path

import pytest

from market_data.reading import read_recordings
from market_data.simulator import simulate
from pipelines.request import TrainRequest
from registry.memory import MemoryRegistry


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_cluster_makes_the_same_graphs(runner: str, tmp_path: Path) -> None:
    pytest.importorskip(f"prefect_{runner}")
    from data_contracts.manifest import read_manifest
    from pipelines.flows import Given, train

    simulate(tmp_path / "day.itch50", seed=3, events=4000)
    recordings = read_recordings(tmp_path / "day.itch50")

    def graphs(**how: object) -> dict[str, str]:
        request = TrainRequest(
            model="m", families=("logistic", "ridge"), trials=1, folds=2, work=str(tmp_path / str(how)), **how
        )
        # As the commands have it: a bar on the terminal, which holds a lock that goes to no other process.
        told, lock = list[str](), threading.RLock()
        given = Given(
            recordings=recordings, registry=MemoryRegistry(), on_step=lambda text, *_: lock and told.append(text)
        )
        made = train(request, given)
        assert "fit ridge" in told
        return {one.family: read_manifest(Path(one.folder)).files["model.onnx"] for one in made.versions}

    apart = graphs(runner=runner, workers=2)
    for kept in (Path(os.environ["PREFECT_HOME"]) / "storage").glob("*"):
        kept.unlink()  # or the same keys would be read instead of made again
    assert graphs() == apart
