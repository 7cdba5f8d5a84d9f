"""Sequence models in a real worker: the windows that training cuts out of a recording, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from worker_kit import HORIZON_NS, IF, MODEL, ab_route, lineup, tier, touch_events, wait_for

from benchmarks.versions import WIDTH, save_graph
from data_contracts.errors import ModelError
from data_contracts.journal import AbstainReason, RecordType
from data_contracts.manifest import DecisionRule, Label, read_golden
from data_contracts.market_event import EventFlag
from data_contracts.recording import Recording
from market_data.feature_sets import TOUCH_V1
from market_data.features import compute_features
from pipelines.package import package, package_own
from serving.journal import Journal, read_journal
from serving.latency import measure_decisions
from serving.slots import prepare_version

EVENTS_A_SESSION = 330
NIGHT_NS = 8 * 3_600 * 10**9
WINDOWS = {1: 5, 2: 16, 3: 1}
"""By version: champion, challenger, shadow."""
RULE = DecisionRule(kind="up_minus_down", threshold=0.05)
LABEL = Label(kind="mid_move", horizon_ns=HORIZON_NS)


def window_graph(window: int) -> Callable[[Path], None]:
    """Softmax of a random linear map of all that a window holds."""

    def write(path: Path) -> None:
        weight = np.random.default_rng(window).normal(0, 0.1, (window * WIDTH, 3)).astype(np.float32)
        nodes = [
            helper.make_node("Flatten", ["features"], ["row"]),
            helper.make_node("MatMul", ["row", "w"], ["m"]),
            helper.make_node("Softmax", ["m"], ["output"], axis=1),
        ]
        save_graph(path, nodes, {"w": weight}, outputs=3, window=window)

    return write


def version(folder: Path, window: int) -> Path:
    folder.mkdir(parents=True)
    window_graph(window)(folder / "graph.onnx")
    content = (folder / "graph.onnx").read_bytes()
    inputs = np.random.default_rng(3).normal(size=(8, window, WIDTH)).astype(np.float32)
    package(
        folder / "version",
        content,
        model=MODEL,
        family="windowed",
        feature_set=TOUCH_V1,
        rule=RULE,
        label=LABEL,
        golden_inputs=inputs if window > 1 else inputs[:, 0],
        parity_tolerance=1e-5,
    )
    return folder / "version"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("windowed")
    return {number: version(root / str(number), window) for number, window in WINDOWS.items()}


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Two sessions, with a touch now and then that nobody may act on."""
    events = touch_events(2 * EVENTS_A_SESSION, seed=4)
    events["event_ns"][EVENTS_A_SESSION:] += NIGHT_NS
    events["receive_ns"] = events["event_ns"] + 1000
    for row in (250, 251, 280, EVENTS_A_SESSION + 260):
        events["flags"][row] = int(EventFlag.HALTED)
    return Recording(instrument=IF, events=events, source=Path("made-here"), skipped={})


@pytest.fixture(scope="module")
def journal(versions: dict[int, Path], recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Journal:
    """What a worker decided on the recording, with the challenger in shadow."""
    with tier(tmp_path_factory.mktemp("tier")) as running:
        running.show(lineup(versions, window=max(WINDOWS.values())))
        shadows = {"shadow_slots": (2, 255, 255, 255), "shadow_versions": (3, 0, 0, 0)}
        running.routing.publish([ab_route(0, phase=1, **shadows)])
        running.start()
        running.beat()
        wait_for(lambda: len(running.status().slots) == len(WINDOWS), "the versions")
        assert {slot.state for slot in running.status().slots} == {"ready"}, running.status().slots
        feed = running.feed()
        feed.events(recording.events)
        feed.end()
        feed.close()
        assert running.stop() == 0
        return read_journal(running.journal)


def by_hand(recording: Recording, folder: Path, window: int) -> np.ndarray:
    """What a version says at each event, shape (n, 3); NaN where it has no whole window of one session."""
    features, ready = compute_features(recording, TOUCH_V1)
    said = np.full((len(recording), 3), np.nan, np.float32)
    model = prepare_version(folder, model=MODEL, live=TOUCH_V1).live  # the engine that serving chooses
    for session in (range(EVENTS_A_SESSION), range(EVENTS_A_SESSION, 2 * EVENTS_A_SESSION)):
        rows = [row for row in session if ready[row]]
        for last in range(window - 1, len(rows)):
            read = features[rows[last - window + 1 : last + 1]]
            said[rows[last]] = model.predict(np.ascontiguousarray(read).reshape(1, -1))[0]
    return said


def outputs(records: np.ndarray) -> np.ndarray:
    """Return the three outputs of each record, shape (n, 3)."""
    return np.stack([records[f"output_{column}"] for column in range(3)], axis=1)


def test_champion_says_what_training_s_windows_say_to_the_last_bit(
    journal: Journal, versions: dict[int, Path], recording: Recording
) -> None:
    decisions, expected = journal.decisions, by_hand(recording, versions[1], WINDOWS[1])
    assert len(decisions) == len(recording)
    answered = ~np.isnan(expected[:, 0])
    np.testing.assert_array_equal(outputs(decisions)[answered], expected[answered])
    assert (decisions["abstain"][answered] == AbstainReason.NONE).all()
    assert answered.sum() == 2 * (EVENTS_A_SESSION - 199 - (WINDOWS[1] - 1)) - 4
    unusable = recording.events["flags"] != 0
    assert (decisions["abstain"][~answered & ~unusable] == AbstainReason.NOT_WARM).all()
    assert (decisions["abstain"][unusable] == AbstainReason.HALTED).all()


@pytest.mark.parametrize("number", [2, 3])
def test_version_of_another_window_scores_its_own(
    number: int, journal: Journal, versions: dict[int, Path], recording: Recording
) -> None:
    shadows = journal.select(RecordType.SHADOW)
    shadows = np.sort(shadows[shadows["version"] == number], order="decision_id")
    expected = by_hand(recording, versions[number], WINDOWS[number])
    assert len(shadows) == len(recording)
    assert not shadows["dropped"].any()
    answered = ~np.isnan(expected[:, 0])
    np.testing.assert_array_equal(outputs(shadows)[answered], expected[answered])
    assert (shadows["abstain"][answered] == AbstainReason.NONE).all()
    assert (shadows["abstain"][~answered] != AbstainReason.NONE).all()


def test_own_windowed_model_is_packaged_verified_and_timed(tmp_path: Path, recording: Recording) -> None:
    window_graph(5)(tmp_path / "own.onnx")
    manifest = package_own(
        tmp_path / "version", tmp_path / "own.onnx", model=MODEL, feature_set=TOUCH_V1, rule=RULE, label=LABEL
    )
    assert (manifest.window, manifest.inputs, manifest.outputs) == (5, WIDTH, 3)
    assert {len(row) for row in read_golden(tmp_path / "version").inputs} == {5 * WIDTH}
    assert prepare_version(tmp_path / "version", model=MODEL, live=TOUCH_V1).live.window == 5
    timed = measure_decisions(tmp_path / "version", IF, recording.events)
    assert timed.decisions == len(recording) - 200 - 4
    assert 0 < timed.p50_us <= timed.worst_us


def test_window_over_other_features_is_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["features"], ["output"], axes=[1], keepdims=0)],
        "narrow",
        [value("features", onnx.TensorProto.FLOAT, ["batch", 4, 3])],
        [value("output", onnx.TensorProto.FLOAT, ["batch", 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=rf"\[batch, {WIDTH}\] or \[batch, window, {WIDTH}\], got FLOAT .*4, 3"):
        package_own(tmp_path / "v", tmp_path / "m.onnx", model=MODEL, feature_set=TOUCH_V1, rule=RULE, label=LABEL)
