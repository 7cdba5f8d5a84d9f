"""A kernel serves a version only once it has answered the version's golden vectors as ONNX Runtime does."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import helper
from worker_kit import WIDTH, linear_graph

import serving.slots
from benchmarks.versions import save_graph, write_version
from data_contracts.errors import ModelError, ParityError
from data_contracts.manifest import DecisionRule, sha256_of
from market_data.feature_sets import TOUCH_V1
from native._native import Model, kernel_isa, load_kernel
from serving.slots import ReadyVersion, prepare_version

MODEL = "touch-net"


def _sines(path: Path) -> None:
    """Write a graph with a node that the kernels do not know."""
    nodes = [helper.make_node("Sin", ["features"], ["s"]), helper.make_node("MatMul", ["s", "w"], ["output"])]
    save_graph(path, nodes, {"w": np.full((WIDTH, 1), 0.1, np.float32)})


def _prepared(folder: Path) -> ReadyVersion:
    return prepare_version(folder, model=MODEL, live=TOUCH_V1)


def _written(folder: Path) -> Path:
    rule = DecisionRule(kind="up_minus_down", threshold=0.1)
    return write_version(folder, linear_graph, model=MODEL, horizon_ns=10**9, rule=rule, parity_tolerance=1e-5)


def test_known_graph_gets_a_kernel_for_both_threads(tmp_path: Path) -> None:
    ready = _prepared(_written(tmp_path / "v1"))
    assert ready.live.tier == ready.shadow.tier == f"dense-{kernel_isa()}"
    assert ready.live is not ready.shadow
    assert ready.no_kernel == ""


def test_unknown_graph_stays_with_onnxruntime_and_says_why(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "v1", _sines, model=MODEL, horizon_ns=10**9)
    ready = _prepared(folder)
    assert ready.live.tier == ready.shadow.tier == "onnxruntime"
    assert "Sin" in ready.no_kernel


def test_kernel_that_answers_otherwise_is_not_admitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _written(tmp_path / "v1")
    other = tmp_path / "other.onnx"
    weights = {"w": np.ones((WIDTH, 3), np.float32)}
    save_graph(other, [helper.make_node("MatMul", ["features", "w"], ["output"])], weights, outputs=3)

    def wrong(path: str) -> Model:
        return load_kernel(str(other))

    monkeypatch.setattr(serving.slots, "load_kernel", wrong)
    ready = _prepared(folder)
    assert ready.live.tier == ready.shadow.tier == "onnxruntime"
    assert "golden vector" in ready.no_kernel


def test_version_that_onnxruntime_answers_otherwise_is_refused_whatever_a_kernel_says(tmp_path: Path) -> None:
    folder = _written(tmp_path / "v1")
    golden = msgspec.json.decode((folder / "golden.json").read_bytes())
    golden["outputs"][1][2] += 0.5
    (folder / "golden.json").write_bytes(msgspec.json.encode(golden))
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
    manifest["files"]["golden.json"] = sha256_of(folder / "golden.json")
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(ParityError, match="golden vector 1"):
        _prepared(folder)


def _rows_that_hang_together(path: Path) -> None:
    """Write a graph whose softmax goes over the batch: right for one row, and for no more."""
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["output"], axis=0),
    ]
    save_graph(path, nodes, {"w": np.ones((WIDTH, 1), np.float32)})


def test_version_whose_rows_hang_together_is_refused(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "v1", _rows_that_hang_together, model=MODEL, horizon_ns=10**9)
    with pytest.raises(ModelError, match="run as one batch, golden vector 0"):
        _prepared(folder)
