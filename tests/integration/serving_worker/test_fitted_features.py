"""Sets with something fitted or chosen, in a real worker: the bits that training would have, or a refusal."""

from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support.markets import fitted, leader_of, levels_of
from worker_kit import HORIZON_NS, IF, MODEL, ab_route, lineup, tier, touch_events, wait_for

from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.journal import AbstainReason
from data_contracts.manifest import DecisionRule, Label
from data_contracts.recording import Recording
from market_data.feature_sets import feature_set
from market_data.features import compute_features
from market_data.publish import publish
from pipelines.package import package
from serving.journal import Journal, read_journal

SHANGHAI = msgspec.structs.replace(IF, time_zone="Asia/Shanghai")
OTHER = Instrument(symbol="CFFEX:IF2102", tick_size="0.2", lot_size="1", currency="CNY", fee_bps=0.1)
COUNT = 600


def version(folder: Path, features: FeatureSet) -> Path:
    """Package a random linear map of the set."""
    width = len(features.features)
    weight = np.random.default_rng(1).normal(0, 0.01, (width, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], ["m"]), helper.make_node("Softmax", ["m"], ["output"], axis=1)],
        "graph",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(weight, "w")],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    folder.mkdir(parents=True)
    package(
        folder,
        model,
        model=MODEL,
        family="linear",
        feature_set=features,
        rule=DecisionRule(kind="up_minus_down", threshold=0.05),
        label=Label(kind="mid_move", horizon_ns=HORIZON_NS),
        golden_inputs=np.random.default_rng(3).normal(size=(8, width)).astype(np.float32),
        parity_tolerance=1e-5,
    )
    return folder


def served(tmp_path: Path, features: FeatureSet, recordings: list[Recording]) -> tuple[Journal, list[str]]:
    """Return the journal of a worker that serves one such version, and why it took no version."""
    folder = version(tmp_path / "version", features)
    stated = features if features.tables or features.leader else None
    with tier(tmp_path) as running:
        running.show(lineup({1: folder}, feature_set=features.name, features=stated, instruments=(IF.symbol,)))
        running.beat()
        running.routing.publish([ab_route(0, challenger_slot=255, challenger_version=0)])
        running.start()
        publish(recordings, f"127.0.0.1:{running.status().feed_port}", speed=0)
        failed = [slot.reason for slot in running.status().slots if slot.state == "failed"]
        running.stop()
        return read_journal(running.journal), failed


def hash_of(row: np.ndarray) -> int:
    value = 0xCBF29CE484222325
    for byte in row.tobytes():
        value = (value ^ byte) * 0x100000001B3 & (2**64 - 1)
    return value


def hashes(matrix: np.ndarray, ready: np.ndarray) -> list[int]:
    return [hash_of(row) if is_ready else 0 for row, is_ready in zip(matrix, ready, strict=True)]


def test_levels_and_a_fitted_microprice_give_the_worker_the_bits_of_training(tmp_path: Path) -> None:
    features, events = fitted("depth_v1"), touch_events(COUNT)
    recording = Recording(
        instrument=SHANGHAI, events=events, source=tmp_path, skipped={}, depth=levels_of(events, seed=4)
    )
    journal, failed = served(tmp_path, features, [recording])
    assert failed == []
    matrix, ready = compute_features(recording, features)
    assert ready.sum() > 300
    assert journal.decisions["feature_hash"].tolist() == hashes(matrix, ready)


def test_leader_in_the_same_feed_gives_the_worker_the_bits_of_training(tmp_path: Path) -> None:
    features, events = feature_set(f"lead_lag_v1={OTHER.symbol}"), touch_events(COUNT)
    own = Recording(instrument=IF, events=events, source=tmp_path, skipped={})
    leader = Recording(instrument=OTHER, events=leader_of(events, 2), source=tmp_path, skipped={})
    journal, failed = served(tmp_path, features, [own, leader])
    assert failed == []
    matrix, ready = compute_features(own, features, [leader])
    assert ready.sum() > 200
    assert journal.decisions["feature_hash"].tolist() == hashes(matrix, ready)


def test_feed_without_levels_is_abstained_on_and_another_fit_is_refused(tmp_path: Path) -> None:
    features, events = fitted("depth_v1"), touch_events(COUNT)
    recording = Recording(instrument=IF, events=events, source=tmp_path, skipped={})
    journal, _ = served(tmp_path / "flat", features, [recording])
    assert set(journal.decisions["abstain"].tolist()) == {AbstainReason.NOT_WARM}
    other = msgspec.structs.replace(features, tables=dict.fromkeys(features.tables, (0.0,) * 50))
    with tier(tmp_path / "other") as running:
        folder = version(tmp_path / "another" / "version", other)
        running.show(lineup({1: folder}, feature_set=features.name, features=features))
        running.start()
        wait_for(lambda: [slot.state for slot in running.status().slots] == ["failed"], "a refusal")
        (slot,) = running.status().slots
        running.stop()
    assert f"live hash {features.hash}, model made for {other.hash}" in slot.reason
