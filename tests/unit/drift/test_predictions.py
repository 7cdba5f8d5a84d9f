"""Drift of what a version says and earns, whether it reads the newest vector or a window of them."""

from pathlib import Path

import numpy as np
import pytest
from test_drift import quotes

from data_contracts.manifest import MODEL_FILE, DecisionRule, Label
from market_data.feature_sets import feature_set
from models.dataset import build_dataset
from models.drift import column_drift, memory_rows
from models.families import family
from models.families.lstm import LstmConfig
from models.fitting import fit_on
from models.parity import golden_inputs, run_onnx
from pipelines.package import package
from pipelines.steps.drift import DriftReport, DriftRequest, drift_between

FEATURES = feature_set("quotes_v1")
REQUEST = DriftRequest(reference="", source="", feature_set="quotes_v1")
CALM = [quotes(f"day{i}", i, 0.0) for i in range(4)]


def version(folder: Path, name: str, window: int) -> Path:
    rows, _ = build_dataset(
        [quotes("past", 40, 0.0), quotes("more", 41, 0.05)],
        FEATURES,
        horizon_ns=REQUEST.horizon_ns,
        entry_latency_ns=0,
        min_interval_ns=REQUEST.min_interval_ns,
        window=window,
    )
    rows, kind = rows.seen_through(window), family(name)
    config = LstmConfig(hidden=4, epochs=2) if name == "lstm" else kind.default()
    package(
        folder,
        fit_on(kind, rows, config, 1).to_onnx(),
        model="m",
        family=name,
        feature_set=FEATURES,
        rule=DecisionRule(kind="up_minus_down", threshold=0.1),
        label=Label(kind="mid_move", horizon_ns=REQUEST.horizon_ns),
        golden_inputs=golden_inputs(rows.features),
    )
    return folder


@pytest.mark.parametrize(("name", "window"), [("logistic", 1), ("lstm", 6)])
def test_prediction_and_edge_are_asked_about_through_the_version_s_own_window(
    name: str, window: int, tmp_path: Path
) -> None:
    folder = version(tmp_path / "v", name, window)

    def asked(current: list) -> DriftReport:
        return drift_between(CALM[:2], current, REQUEST, version=folder, model_uri="models:/m/1")

    quiet, loud = asked(CALM[2:]), asked([quotes("loud", 9, 0.4), quotes("louder", 10, 0.4)])
    tests = {(r.column, r.test) for r in quiet.results}
    assert {("prediction", "psi"), ("prediction", "ks")} <= tests
    assert sum(r.test == "edge" for r in quiet.results) == 1
    assert not any("reads windows" in note for note in quiet.notes)
    assert not any(r.drifted for r in quiet.results if r.column == "prediction" or r.test == "edge")
    assert any(r.drifted for r in loud.results if r.column == "prediction")
    assert all(np.isfinite(r.p_value) for r in quiet.results)


def test_what_a_version_says_is_cut_into_blocks_as_long_as_its_features_ask_for(tmp_path: Path) -> None:
    folder = version(tmp_path / "v", "logistic", 1)
    then, now = ([quotes("a", 60, 0.0)], [quotes("b", 61, 0.0)])
    found = [r for r in drift_between(then, now, REQUEST, version=folder).results if r.column == "prediction"]
    rows = [
        build_dataset(
            part,
            FEATURES,
            horizon_ns=REQUEST.horizon_ns,
            entry_latency_ns=REQUEST.entry_latency_ns,
            min_interval_ns=REQUEST.min_interval_ns,
        )[0]
        for part in (then, now)
    ]
    said = [run_onnx((folder / MODEL_FILE).read_bytes(), part.features).astype(np.float64) for part in rows]
    scores = [each[:, 2:] - each[:, :1] for each in said]
    memory = memory_rows(rows[0].features, rows[1].features)
    asked = {"alpha": REQUEST.alpha / 5, "seed": REQUEST.seed}
    assert memory > 10 * memory_rows(*scores)
    assert tuple(found) == column_drift(*scores, ("prediction",), memory=memory, **asked)
    assert tuple(found) != column_drift(*scores, ("prediction",), **asked)
