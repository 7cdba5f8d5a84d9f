"""`ringcraft bench train`: what the platform adds to learning, each against its goal in the same run."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import xgboost
from numpy.typing import NDArray

from benchmarks.report import paired, percentile_row, ratio
from data_contracts.recording import Recording
from market_data.feature_sets import TOUCH_V1
from market_data.features import compute_features
from market_data.reading import read_recordings
from market_data.simulator import simulate
from models.families.xgboost import FAMILY, parameters, training_rows
from models.labels import classify

MATRIX_GOAL: Final = 5e6
"""Events a second."""
BOOSTING_GOAL: Final = 0.95
"""Of XGBoost's own speed."""
OVERHEAD_GOAL_S: Final = 10.0
COMPRESSION_GOAL_S: Final = 60.0
_ROWS: Final = 50_000
_RUNS: Final = 5
_FLOW_RUNS: Final = 3


def run() -> list[dict[str, Any]]:
    """Measure events to a matrix, boosting through the family, a flow run, and compression of a tree model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "market.itch50"
        simulate(path, seed=1, seconds=20_000)
        (recording,) = read_recordings(path, format="itch50")
        features, ready = compute_features(recording, TOUCH_V1)
        matrix = np.ascontiguousarray(features[ready][:_ROWS])
        return [_matrix(recording), _boosting(matrix), *_flow(recording, Path(folder))]


def _matrix(recording: Recording) -> dict[str, Any]:
    rates = []
    for _ in range(_RUNS + 1):
        start = time.perf_counter()
        features, _ = compute_features(recording, TOUCH_V1)
        rates.append(len(recording) / (time.perf_counter() - start))
        # What native code wrote is what a learner reads: one block of float32, nothing made of Python objects.
        assert features.dtype == np.float32
        assert features.flags.c_contiguous
    goal = [(rate, MATRIX_GOAL) for rate in rates[1:]]
    row = ratio("events to a matrix", goal, peer_name="the goal", unit="events/s", smaller_wins=False)
    return row | {"met": row["ratio"] >= 1.0}


def _boosting(matrix: NDArray[np.float32]) -> dict[str, Any]:
    move = matrix[:, 1] + np.random.default_rng(1).normal(size=len(matrix))
    classes, config = classify(move.astype(np.float64), 0.5), FAMILY.default()

    def ours() -> float:
        return _seconds(lambda: FAMILY.fit(matrix, classes, config, 1))

    def alone() -> float:
        return _seconds(lambda: xgboost.train(parameters(config, 1), training_rows(matrix, classes), config.trees))

    row = ratio("boosting through the family", paired(ours, alone, _RUNS), peer_name="XGBoost alone", unit="s",
                smaller_wins=True)  # fmt: skip
    return row | {"met": row["ratio"] >= BOOSTING_GOAL}


def _flow(recording: Recording, folder: Path) -> list[dict[str, Any]]:
    import pipelines  # noqa: F401  sets Prefect's environment

    os.environ["PREFECT_HOME"] = str(folder / "prefect")
    (folder / "prefect").mkdir()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from models.families import family
    from pipelines.flows import Given, train_flow
    from pipelines.request import TrainRequest
    from pipelines.steps import compress, dataset, fit, tune
    from pipelines.steps.version import build_version
    from ringcraft.mlflow_server import MlflowServer

    part, overheads, compressions = recording.part(0, 8_000), [], []
    with MlflowServer(folder / "mlflow") as server:
        for turn in range(_FLOW_RUNS + 1):
            # A seed of its own: nothing of the turn before is found among what is kept.
            request = TrainRequest(
                model="bench", families=("xgboost",), trials=2, folds=2, seed=turn, seeds=1, mlflow_uri=server.uri,
                work=str(folder / f"work-{turn}"), max_rows=8_000 - turn,
            )  # fmt: skip
            start = time.perf_counter()
            prepared = dataset.prepare([part], request)
            measured = fit.baselines(prepared, seed=turn)
            kind = family("xgboost")
            made = fit.fit(kind, tune.tune(kind, prepared, trials=2, seed=turn).config, prepared, seed=turn)
            began = time.perf_counter()
            small = compress.compress(made, prepared, seed=turn)
            compressions.append(time.perf_counter() - began)
            build_version(folder / f"plain-{turn}", made, small, prepared, measured, request)
            plain = time.perf_counter() - start
            overheads.append(_seconds(lambda: train_flow(request, Given(recordings=[part]))) - plain)  # noqa: B023
    rows = [
        percentile_row("a flow run over its plain steps", overheads[1:], goal=OVERHEAD_GOAL_S, unit="s"),
        percentile_row("export, parity, compression of trees", compressions[1:], goal=COMPRESSION_GOAL_S, unit="s"),
    ]
    return [row | {"met": row["ratio"] >= 1.0} for row in rows]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
