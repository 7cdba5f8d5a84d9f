"""A retrained version replaces a stale one only where it is shown to be better, on rows neither has learnt from."""

from pathlib import Path

import numpy as np
import pytest
from planted_data import planted

from data_contracts.manifest import MODEL_FILE, DataRange, DecisionRule, Label
from market_data.feature_sets import feature_set
from models.families import family
from models.fitting import losses
from models.parity import run_onnx
from pipelines.flows import settled
from pipelines.package import package
from pipelines.request import TrainRequest, changed
from pipelines.retrain import far_enough_back
from pipelines.steps.compare import compare_versions

FEATURES = feature_set("quotes_v1")
WIDTH = len(FEATURES.features)


def version(
    folder: Path,
    sign: float,
    *,
    last_event_ns: int = 0,
    set_name: str = "quotes_v1",
    name: str = "logistic",
    window: int = 1,
) -> Path:
    rows = planted(rows=4000, width=len(feature_set(set_name).features), edge=sign, seed=1)
    rows = rows.rows(slice(window - 1, None)).seen_through(window)
    kind = family(name)
    moves = kind.targets == ("move",)
    package(
        folder,
        kind.fit(rows.features, rows.mid_move_bps if moves else rows.classes, kind.default(), 1).to_onnx(),
        model="m",
        family=name,
        feature_set=feature_set(set_name),
        rule=DecisionRule(kind="expected_bps" if moves else "up_minus_down", threshold=0.2),
        label=Label(kind="mid_move", horizon_ns=2_000_000_000),
        golden_inputs=np.asarray(rows.features[:8]),
        data=(
            DataRange(
                source="a",
                instrument="V:S",
                fingerprint="a" * 64,
                first_event_ns=0,
                last_event_ns=last_event_ns,
                events=1,
            ),
        ),
    )
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("versions")
    return {
        "fresh": version(root / "fresh", 1.0),
        "stale": version(root / "stale", -1.0),
        "newer": version(root / "newer", -1.0, last_event_ns=10**15),
        "other": version(root / "other", 1.0, set_name="touch_v1"),
    }


HELD_OUT = planted(rows=3000, width=WIDTH, edge=1.0, seed=2)


def test_version_that_learnt_what_holds_now_beats_one_that_learnt_the_opposite(folders: dict[str, Path]) -> None:
    found = compare_versions(folders["fresh"], folders["stale"], HELD_OUT, seed=1)
    assert found.better
    assert found.loss.high is not None
    assert found.loss.high < 0
    assert "on 2,999 rows" in found.reason
    assert not compare_versions(folders["stale"], folders["fresh"], HELD_OUT, seed=1).better


@pytest.mark.parametrize(("name", "window", "said"), [("lstm", 4, "log loss -"), ("ridge", 1, "squared error -")])
def test_versions_over_windows_and_of_moves_are_compared_by_what_they_read_and_learnt(
    name: str, window: int, said: str, tmp_path: Path
) -> None:
    fresh, stale = (version(tmp_path / str(sign), sign, name=name, window=window) for sign in (1.0, -1.0))
    rows = HELD_OUT.rows(slice(window - 1, None))
    found = compare_versions(fresh, stale, rows, seed=1)
    assert found.better
    assert said in found.reason
    assert not compare_versions(stale, fresh, rows, seed=1).better


def test_versions_of_other_windows_are_asked_about_the_same_decisions_each_through_its_own(tmp_path: Path) -> None:
    long, short = version(tmp_path / "long", 1.0, name="lstm", window=6), version(tmp_path / "short", -1.0)
    rows = HELD_OUT.rows(slice(5, None))
    found, other = (compare_versions(*pair, rows, seed=1) for pair in ((long, short), (short, long)))
    assert found.better
    assert not other.better
    assert found.rows == other.rows == len(rows)
    expected = np.mean(
        losses(run_onnx((long / MODEL_FILE).read_bytes(), rows.seen_through(6).features), rows)
        - losses(run_onnx((short / MODEL_FILE).read_bytes(), rows.features), rows)
    )
    assert found.loss.value == pytest.approx(expected)
    assert other.loss.value == pytest.approx(-expected)


def test_retraining_makes_rows_that_the_stale_one_can_be_asked_about(tmp_path: Path) -> None:
    request = settled(TrainRequest(model="m", families=("logistic",)))
    stale = version(tmp_path / "stale", 1.0, name="lstm", window=6)
    assert settled(far_enough_back(request, stale)).window == 6
    assert far_enough_back(changed(request, window=9), stale).window == 9
    assert far_enough_back(request, None) == request


def test_equal_version_is_not_better(folders: dict[str, Path]) -> None:
    found = compare_versions(folders["fresh"], folders["fresh"], HELD_OUT, seed=1)
    assert not found.better
    assert found.loss.value == pytest.approx(0.0)


def test_what_the_stale_one_may_have_learnt_from_is_not_judged_on(folders: dict[str, Path]) -> None:
    found = compare_versions(folders["fresh"], folders["newer"], HELD_OUT, seed=1)
    assert not found.better
    assert found.reason == "not compared: expected 500 rows newer than the stale one's data, got 0"


def test_version_of_other_features_is_not_compared(folders: dict[str, Path]) -> None:
    found = compare_versions(folders["fresh"], folders["other"], HELD_OUT, seed=1)
    assert found.reason == "not compared: they read other features, or answer otherwise"
    assert np.isnan(found.loss.value or np.nan)
