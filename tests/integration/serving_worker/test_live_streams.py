"""Streams in a real worker: each answer is ONNX Runtime's over all that came since the instrument's stream began."""

import http.client
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import helper
from worker_kit import IF, MODEL, ab_route, lineup, tier, touch_events, wait_for, write_version

from benchmarks.versions import WIDTH, save_graph
from data_contracts.journal import AbstainReason, RecordType
from data_contracts.market_event import EventFlag
from data_contracts.recording import Recording
from market_data.feature_sets import TOUCH_V1
from market_data.features import compute_features
from native import onnxruntime_library
from native._native import OnnxModel, kernel_isa
from serving.doors.shared_client import SharedClient, Status
from serving.journal import Journal, read_journal
from serving.latency import measure_decisions

INSTRUMENTS = [IF, msgspec.structs.replace(IF, symbol="CFFEX:IC2101")]
EVENTS_A_SESSION = 330
NIGHT_NS = 8 * 3_600 * 10**9
GAP = 270
VERSIONS = (1, 2, 3)
"""Champion, challenger, shadow."""


def stream_graph(seed: int) -> Callable[[Path], None]:
    """Two LSTM layers over the steps, and a softmax over the last one's state."""

    def write(path: Path) -> None:
        random = np.random.default_rng(seed)
        sizes = {"w0": (1, 24, WIDTH), "r0": (1, 24, 6), "w1": (1, 20, 6), "r1": (1, 20, 5), "head": (5, 3)}
        weights: dict[str, Any] = {
            name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in sizes.items()
        }
        weights |= {"axis": np.array([1]), "first": np.array([0])}
        nodes = [
            helper.make_node("Transpose", ["features"], ["x0"], perm=[1, 0, 2]),
            helper.make_node("LSTM", ["x0", "w0", "r0"], ["all"], hidden_size=6),
            helper.make_node("Squeeze", ["all", "axis"], ["x1"]),
            helper.make_node("LSTM", ["x1", "w1", "r1"], ["", "last"], hidden_size=5),
            helper.make_node("Squeeze", ["last", "first"], ["state"]),
            helper.make_node("MatMul", ["state", "head"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["output"], axis=1),
        ]
        save_graph(path, nodes, weights, outputs=3, window=0)

    return write


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("streams")
    return {number: write_version(root / str(number), stream_graph(number), state="stream") for number in VERSIONS}


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    """Two sessions of each instrument, with a gap in the first one's first, and touches nobody may act on."""
    made = []
    for number, instrument in enumerate(INSTRUMENTS):
        events = touch_events(2 * EVENTS_A_SESSION, seed=4 + number)
        events["event_ns"][EVENTS_A_SESSION:] += NIGHT_NS
        events["receive_ns"] = events["event_ns"] + 1000
        events["instrument"] = number
        events["flags"][[250, EVENTS_A_SESSION + 260]] = int(EventFlag.HALTED)
        if number == 0:
            events["flags"][GAP] = int(EventFlag.GAP)
        made.append(Recording(instrument=instrument, events=events, source=Path("made-here"), skipped={}))
    return made


@pytest.fixture(scope="module")
def served(
    versions: dict[int, Path], recordings: list[Recording], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Journal, dict[str, int], tuple[int, dict[str, Any]]]:
    """The journal, the counters, and what REST said: the instruments in turns, every other event decided on."""
    events = np.empty(4 * EVENTS_A_SESSION, recordings[0].events.dtype)
    events[0::2], events[1::2] = (recording.events for recording in recordings)
    with tier(tmp_path_factory.mktemp("tier")) as running:
        running.show(lineup(versions, min_interval_ns=10**9))
        shadows = {"shadow_slots": (2, 255, 255, 255), "shadow_versions": (3, 0, 0, 0)}
        running.routing.publish([ab_route(5000, **shadows)])
        running.start()
        running.beat()
        wait_for(lambda: len(running.status().slots) == len(VERSIONS), "the versions")
        told = [(slot.state, slot.tier, slot.reason) for slot in running.status().slots]
        assert told == [("ready", f"lstm-stream-{kernel_isa()}", "")] * len(VERSIONS)
        feed = running.feed(instruments=INSTRUMENTS)
        feed.events(events)
        feed.end()
        feed.close()
        link = http.client.HTTPConnection("127.0.0.1", running.status().rest_port, timeout=10)
        asked = {"inputs": [{"name": "features", "shape": [1, WIDTH], "datatype": "FP32", "data": [0.0] * WIDTH}]}
        link.request("POST", f"/v2/models/{MODEL}/infer", json.dumps(asked))
        answer = link.getresponse()
        said = answer.status, json.loads(answer.read())
        link.close()
        refused = SharedClient(running.state).ask(MODEL, np.zeros((1, WIDTH), np.float32))
        assert (refused.status, refused.reason) == (Status.STREAM, said[1]["error"])
        wait_for(lambda: running.status().counters["decisions"] == 2 * EVENTS_A_SESSION, "the decisions")
        assert running.stop() == 0
        return read_journal(running.journal), running.status().counters, said


def by_hand(recording: Recording, folder: Path) -> np.ndarray:
    """What ONNX Runtime says after each event, over its stream from the beginning, shape (n, 3); NaN: no step."""
    features, ready = compute_features(recording, TOUCH_V1)
    model = OnnxModel(str(folder / "model.onnx"), onnxruntime_library(), stream=True)
    said = np.full((len(recording), 3), np.nan, np.float32)
    first = recording.events["flags"][:EVENTS_A_SESSION] & int(EventFlag.GAP) != 0
    breaks = [0, *np.flatnonzero(first).tolist(), EVENTS_A_SESSION, len(recording)]
    for begin, end in itertools.pairwise(breaks):
        rows = [row for row in range(begin, end) if ready[row] and recording.events["flags"][row] == 0]
        said[rows] = model.answers_along(np.ascontiguousarray(features[rows]))
    return said


def outputs(records: np.ndarray) -> np.ndarray:
    return np.stack([records[f"output_{column}"] for column in range(3)], axis=1)


def events_of(recording: Recording, decisions: np.ndarray) -> np.ndarray:
    """Return the recording's rows that these decisions are on."""
    rows = np.searchsorted(recording.events["event_ns"], decisions["event_ns"])
    assert (recording.events["event_ns"][rows] == decisions["event_ns"]).all()
    return rows


@pytest.mark.parametrize("number", [0, 1])
def test_every_arm_answers_over_all_of_its_instrument_s_stream(
    number: int,
    served: tuple[Journal, dict[str, int], object],
    versions: dict[int, Path],
    recordings: list[Recording],
) -> None:
    decisions = served[0].decisions
    decisions = decisions[decisions["instrument"] == number]
    rows = events_of(recordings[number], decisions)
    for version in (1, 2):
        expected = by_hand(recordings[number], versions[version])
        own = decisions["version"] == version
        answered = own & ~np.isnan(expected[rows, 0])
        assert answered.sum() > 30
        np.testing.assert_allclose(outputs(decisions)[answered], expected[rows[answered]], rtol=0, atol=2e-5)
        assert (decisions["abstain"][answered] == AbstainReason.NONE).all()
        assert (decisions["abstain"][own & ~answered] != AbstainReason.NONE).all()


def test_shadows_make_up_what_was_not_decided_on(
    served: tuple[Journal, dict[str, int], object], versions: dict[int, Path], recordings: list[Recording]
) -> None:
    journal, counters, _ = served
    decisions, shadows = journal.decisions, journal.select(RecordType.SHADOW)
    assert not shadows["dropped"].any()
    of = decisions[shadows["decision_id"].astype(np.int64) - 1]
    for number, recording in enumerate(recordings):
        for version in VERSIONS:
            own = (of["instrument"] == number) & (shadows["version"] == version)
            expected = by_hand(recording, versions[version])[events_of(recording, of[own])]
            answered = ~np.isnan(expected[:, 0])
            assert answered.sum() > 30
            np.testing.assert_allclose(outputs(shadows[own])[answered], expected[answered], rtol=0, atol=2e-5)
    assert (counters["streams_cut"], counters["shadow_streams_cut"]) == (0, 0)


def test_a_request_is_refused_as_it_would_move_a_stream(served: tuple[Journal, object, tuple[int, object]]) -> None:
    status, body = served[2]
    assert status == 409
    assert "got a stream: it moves with its feed's events alone" in str(body)


def test_a_stream_s_decisions_are_timed(versions: dict[int, Path], recordings: list[Recording]) -> None:
    timed = measure_decisions(versions[1], IF, recordings[0].events)
    assert timed.decisions == len(recordings[0]) - TOUCH_V1.warm_up_events
