"""What the training contract refuses, a real worker abstains on: the same rows held against both."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_live_windows import window_graph
from worker_kit import IF, MODEL, Tier, ab_route, linear_graph, lineup, tier, touch_events, wait_for, write_version

from benchmarks.versions import WIDTH
from data_contracts.errors import ManifestError
from data_contracts.feature_limits import FeatureLimits
from data_contracts.journal import AbstainReason, Arm, RecordType
from data_contracts.manifest import read_manifest
from data_contracts.recording import Recording
from data_contracts.table_expectations import rows_met
from data_contracts.table_limits import feature_limits, rules_of_features
from market_data.feature_sets import TOUCH_V1
from market_data.features import compute_features
from serving.doors.shared_client import SharedClient
from serving.journal import Journal, read_journal

WINDOW = 3
EVENTS = 600


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording(instrument=IF, events=touch_events(EVENTS, seed=6), source=Path("made-here"), skipped={})


@pytest.fixture(scope="module")
def limits(recording: Recording) -> FeatureLimits:
    """What most of the recording's vectors keep to; hardly a limit is a float32."""
    features, ready = compute_features(recording, TOUCH_V1)
    low, high = np.quantile(features[ready].astype(np.float64), (0.004, 0.996), axis=0)
    return FeatureLimits(low=tuple((low - 1e-3 / 3).tolist()), high=tuple((high + 1e-3 / 3).tolist()))


@pytest.fixture(scope="module")
def versions(limits: FeatureLimits, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One vector with limits, a window with limits, and one vector without."""
    root = tmp_path_factory.mktemp("limited")
    random = np.random.default_rng(3)
    windows = random.normal(size=(8, WINDOW * WIDTH)).astype(np.float32)
    return {
        1: write_version(root / "1", linear_graph, limits=limits),
        2: write_version(root / "2", window_graph(WINDOW), limits=limits, window=WINDOW, golden_inputs=windows),
        3: write_version(root / "3", linear_graph),
    }


@pytest.fixture(scope="module")
def running(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    with tier(tmp_path_factory.mktemp("tier"), allow_arm_override="true") as running:
        running.show(lineup(versions, window=WINDOW))
        shadows = {"shadow_slots": (2, 255, 255, 255), "shadow_versions": (3, 0, 0, 0)}
        running.routing.publish([ab_route(0, phase=1, **shadows)])
        running.start()
        running.beat()
        wait_for(lambda: len(running.status().slots) == len(versions), "the versions")
        assert {slot.state for slot in running.status().slots} == {"ready"}, running.status().slots
        yield running


@pytest.fixture(scope="module")
def journal(running: Tier, recording: Recording) -> Journal:
    feed = running.feed()
    feed.events(recording.events)
    feed.end()
    feed.close()
    wait_for(lambda: len(read_journal(running.journal).select(RecordType.SHADOW)) >= 2 * EVENTS, "the shadows")
    return read_journal(running.journal)


def kept(vectors: np.ndarray, limits: FeatureLimits) -> np.ndarray:
    """Whether training would take each vector, as its contract says."""
    table = pl.DataFrame({name: vectors[:, place] for place, name in enumerate(TOUCH_V1.features)})
    return rows_met(table, rules_of_features(TOUCH_V1.features, limits))


def edge_vectors(limits: FeatureLimits, count: int) -> np.ndarray:
    """Vectors of which each value lies at, next to or well inside a limit, shape (count, WIDTH)."""
    random = np.random.default_rng(11)
    low, high = np.array(limits.low), np.array(limits.high)
    vectors = random.uniform(low, high, (count, WIDTH)).astype(np.float32)
    for row in vectors[: count // 2]:
        at = random.integers(WIDTH)
        edge = np.float32((low if random.random() < 0.5 else high)[at])
        row[at] = random.choice([edge, np.nextafter(edge, np.float32(np.inf)), np.nextafter(edge, np.float32(-np.inf))])
    return vectors


def test_row_that_training_refuses_is_abstained_on_and_no_other(running: Tier, limits: FeatureLimits) -> None:
    vectors = edge_vectors(limits, 64 * 30 * WINDOW)
    met = kept(vectors, limits)
    assert 0.15 < 1 - met.mean() < 0.35  # of the half with a value at an edge, about half
    rows, taken = vectors.reshape(-1, WINDOW, WIDTH), met.reshape(-1, WINDOW)
    client = SharedClient(running.state)
    for version, expected in ((1, taken[:, -1]), (2, taken.all(axis=1)), (3, np.ones(len(rows), bool))):
        asked = (client.ask(MODEL, rows[start : start + 64], version=version) for start in range(0, len(rows), 64))
        said = np.concatenate([answer.abstains for answer in asked])
        np.testing.assert_array_equal(said == AbstainReason.NONE, expected)
        assert set(said[~expected].tolist()) <= {AbstainReason.FEATURE_LIMIT}


def test_feed_s_decisions_and_shadows_keep_to_the_training_contract(
    journal: Journal, recording: Recording, limits: FeatureLimits
) -> None:
    features, ready = compute_features(recording, TOUCH_V1)
    met = np.ones(len(features), bool)
    met[ready] = kept(features[ready], limits)
    outside = ready & ~met
    assert 10 < outside.sum() < ready.sum() / 2
    fed = journal.decisions[journal.decisions["instrument"] == 0]  # others were asked for
    np.testing.assert_array_equal(fed["abstain"] == AbstainReason.FEATURE_LIMIT, outside)
    shadows = np.sort(journal.select(RecordType.SHADOW), order="decision_id")
    shadows = shadows[np.isin(shadows["decision_id"], fed["decision_id"])]
    reached = np.convolve(outside, np.ones(WINDOW))[:EVENTS] > 0
    reached &= np.arange(EVENTS) >= np.flatnonzero(ready)[WINDOW - 1]
    windowed = shadows[shadows["arm"] == Arm.CHALLENGER]
    np.testing.assert_array_equal(windowed["abstain"] == AbstainReason.FEATURE_LIMIT, reached)
    free = shadows[shadows["version"] == 3]
    assert (free["abstain"][ready] == AbstainReason.NONE).all()


def test_door_says_why_it_gave_no_number(running: Tier, limits: FeatureLimits) -> None:
    vector = np.array(limits.low, np.float32)
    vector[2] = limits.high[2] + 1
    data = np.tile(vector, WINDOW).tolist()
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, WINDOW, WIDTH], "data": data}
    connection = http.client.HTTPConnection("127.0.0.1", running.status().rest_port, timeout=10)
    connection.request("POST", f"/v2/models/{MODEL}/infer", json.dumps({"inputs": [tensor]}))
    response = connection.getresponse()
    said = json.loads(response.read())
    assert response.status == 400, said
    assert said["error"].endswith("expected an output, got none: feature_limit")


def test_limits_that_do_not_fit_are_refused_with_the_manifest(tmp_path: Path) -> None:
    whole = feature_limits(TOUCH_V1)
    folder = write_version(tmp_path / "v", linear_graph, limits=whole)
    manifest, text = folder / "manifest.json", (folder / "manifest.json").read_text()
    assert read_manifest(folder).limits == whole
    manifest.write_text(text.replace(f'"inputs": {WIDTH}', '"inputs": 3'))
    with pytest.raises(ManifestError, match=f"limits: expected 3, one a feature, got {WIDTH}"):
        read_manifest(folder)
    manifest.write_text(
        text.replace('"low": [\n', '"low": [\n 1e9,\n', 1).replace('"high": [\n', '"high": [\n 0,\n', 1)
    )
    with pytest.raises(ManifestError, match=r"feature 0: expected finite low <= high, got 1e\+09 and 0"):
        read_manifest(folder)
