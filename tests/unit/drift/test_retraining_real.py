"""OANDA's euro on 2 May 2014: a version retrained on its first three quarters against the one that knew 1 May only."""

from pathlib import Path

import numpy as np
import pytest

from data_contracts.manifest import DataRange, DecisionRule, Label
from data_contracts.recording import Recording
from market_data.feature_sets import QUOTES_V1
from market_data.reading import read_recordings
from models.dataset import Dataset, build_dataset
from models.families import family
from models.labels import LabelConfig
from pipelines.package import package
from pipelines.steps.compare import Comparison, compare_versions

SECOND = 1_000_000_000
NEXT_EVENT = LabelConfig(horizon_events=1, threshold_bps=0.0)


@pytest.fixture(scope="module")
def days(test_data: Path) -> tuple[Recording, ...]:
    folder = test_data / "fx-gold-ticks-201405" / "oanda_eurusd"
    return tuple(read_recordings(folder / f"{day}_quote.zip")[0] for day in ("20140501", "20140502"))


def version(folder: Path, rows: Dataset, name: str) -> Path:
    kind = family(name)
    package(
        folder,
        kind.fit(rows.features, rows.classes, kind.default(), 1).to_onnx(),
        model="euro",
        family=name,
        feature_set=QUOTES_V1,
        rule=DecisionRule(kind="up_minus_down", threshold=0.3),
        label=Label(kind="mid_move", horizon_ns=rows.horizon_ns),
        golden_inputs=rows.features[:8],
        data=(
            DataRange(
                source="euro",
                instrument="OANDA:EURUSD",
                fingerprint="a" * 64,
                first_event_ns=int(rows.event_ns[0]),
                last_event_ns=int(rows.end_ns[-1]),
                events=len(rows),
            ),
        ),
    )
    return folder


def retrained(days: tuple[Recording, ...], label: LabelConfig | None, name: str, folder: Path) -> Comparison:
    rows, _ = build_dataset(
        days, QUOTES_V1, horizon_ns=2 * SECOND, entry_latency_ns=1_000_000, min_interval_ns=SECOND, label=label
    )
    today = np.flatnonzero(rows.event_ns >= days[1].events["event_ns"][0])
    end = today[3 * len(today) // 4]
    held_out = rows.rows(np.arange(end, len(rows)))
    learnt = np.flatnonzero(rows.end_ns < held_out.event_ns[0] - rows.horizon_ns)
    yesterday = np.flatnonzero(rows.end_ns < rows.event_ns[today[0]])
    fresh = version(folder / "fresh", rows.rows(learnt), name)
    return compare_versions(fresh, version(folder / "stale", rows.rows(yesterday), name), held_out, seed=1)


def test_next_quote_is_told_better_by_the_retrained_version(days: tuple[Recording, ...], tmp_path: Path) -> None:
    found = retrained(days, NEXT_EVENT, "logistic", tmp_path)
    assert found.better
    assert found.loss.high is not None
    assert -0.01 < found.loss.high < 0


@pytest.mark.parametrize(("label", "name"), [(None, "logistic"), (None, "xgboost"), (NEXT_EVENT, "xgboost")])
def test_what_is_not_better_after_costs_is_not_called_better(
    days: tuple[Recording, ...], label: LabelConfig | None, name: str, tmp_path: Path
) -> None:
    found = retrained(days, label, name, tmp_path)
    assert not found.better
    assert "against the stale one, on 3," in found.reason
