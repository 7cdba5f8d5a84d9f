"""A stream is admitted only once it has carried its golden vectors as ONNX Runtime reads them from the beginning."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import helper
from worker_kit import WIDTH

from benchmarks.versions import save_graph, write_version
from data_contracts.errors import ManifestError, ModelError, ParityError
from data_contracts.manifest import read_manifest, sha256_of
from market_data.feature_sets import TOUCH_V1
from native._native import StreamModel, kernel_isa
from serving.slots import prepare_version
from serving.streams import admit_stream

MODEL = "touch-net"
UNITS = 6


def _graph(path: Path, *, pick: str = "last") -> None:
    random = np.random.default_rng(3)

    def normal(*sizes: int) -> Any:
        return random.normal(0, 0.5, sizes).astype(np.float32)

    weights = {
        "w": normal(1, 4 * UNITS, WIDTH),
        "r": normal(1, 4 * UNITS, UNITS),
        "axis": np.array([1]),
        "first": np.array([0]),
        "head": normal(UNITS, 1),
    }
    nodes = [
        helper.make_node("Transpose", ["features"], ["x"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["x", "w", "r"], ["all", "last"], hidden_size=UNITS),
    ]
    if pick == "last":
        nodes.append(helper.make_node("Squeeze", ["last", "first"], ["state"]))
    else:  # a mean over all steps, which no state of these layers holds
        nodes.append(helper.make_node("Squeeze", ["all", "axis"], ["states"]))
        nodes.append(helper.make_node("ReduceMean", ["states"], ["state"], axes=[0], keepdims=0))
    nodes.append(helper.make_node("MatMul", ["state", "head"], ["output"]))
    save_graph(path, nodes, weights, window=0)


def _mean(path: Path) -> None:
    _graph(path, pick="mean")


def _written(folder: Path, graph: Any = _graph, *, steps: int = 40) -> Path:
    golden = np.random.default_rng(4).normal(size=(steps, WIDTH)).astype(np.float32)
    changes: dict[str, Any] = {"state": "stream", "parity_tolerance": 1e-5}
    return write_version(folder, graph, model=MODEL, horizon_ns=10**9, golden_inputs=golden, **changes)


def _admitted(folder: Path, *, streams: int) -> list[StreamModel]:
    live, shadow, inputs = admit_stream(folder, read_manifest(folder), streams=streams)
    assert live is not shadow
    assert inputs.shape[1] == WIDTH
    return [live, shadow]


def test_a_stream_is_named_in_its_manifest_and_admitted_at_its_beginning(tmp_path: Path) -> None:
    folder = _written(tmp_path / "v1")
    assert read_manifest(folder).state == "stream"
    golden = msgspec.json.decode((folder / "golden.json").read_bytes())
    for model in _admitted(folder, streams=3):
        assert (model.tier, model.streams) == (f"lstm-stream-{kernel_isa()}", 3)
        for stream in range(3):
            model.select(stream)
            said = model.predict(np.asarray(golden["inputs"], np.float32))
            np.testing.assert_allclose(said, golden["outputs"], rtol=0, atol=1e-5)


def test_one_stream_alone_is_admitted_too(tmp_path: Path) -> None:
    assert [model.streams for model in _admitted(_written(tmp_path / "v1"), streams=1)] == [1, 1]


def test_answers_of_another_stream_are_refused(tmp_path: Path) -> None:
    folder = _written(tmp_path / "v1")
    golden = msgspec.json.decode((folder / "golden.json").read_bytes())
    golden["outputs"][30][0] += 0.5
    (folder / "golden.json").write_bytes(msgspec.json.encode(golden))
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
    manifest["files"]["golden.json"] = sha256_of(folder / "golden.json")
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(ParityError, match="golden vector 30"):
        _admitted(folder, streams=2)


def test_a_graph_that_reads_more_of_the_past_than_it_carries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"golden vector 1: .* carries no state"):
        _admitted(_written(tmp_path / "v1", _mean), streams=2)


def test_too_few_golden_vectors_show_nothing(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected 16 to 1024 of a stream, got 4"):
        _admitted(_written(tmp_path / "v1", steps=4), streams=1)


def test_a_worker_gets_it_warm_and_at_its_beginning(tmp_path: Path) -> None:
    folder = _written(tmp_path / "v1")
    ready = prepare_version(folder, model=MODEL, live=TOUCH_V1)
    assert ready.no_kernel == ""
    golden = msgspec.json.decode((folder / "golden.json").read_bytes())
    for model in (ready.live, ready.shadow):
        said = model.predict(np.asarray(golden["inputs"], np.float32))
        np.testing.assert_allclose(said, golden["outputs"], rtol=0, atol=1e-5)


def test_a_window_is_no_stream_and_a_stream_no_window(tmp_path: Path) -> None:
    def flat(path: Path) -> None:
        weights = {"w": np.ones((WIDTH, 1), np.float32)}
        save_graph(path, [helper.make_node("MatMul", ["features", "w"], ["output"])], weights)

    window = write_version(tmp_path / "window", flat, model=MODEL, horizon_ns=10**9)
    with pytest.raises(ManifestError, match="state: expected stream, got window"):
        _admitted(window, streams=1)
    with pytest.raises(ModelError, match="steps left open"):
        _admitted(_changed(window, state="stream"), streams=1)
    with pytest.raises(ManifestError, match="window: expected 1 of a stream"):
        read_manifest(_changed(window, window=5))


def _changed(folder: Path, **fields: Any) -> Path:
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest | fields))
    return folder
