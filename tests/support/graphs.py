"""Versions with small graphs over touch_v1: one that never trades, one that always does, one that is slow."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from data_contracts.manifest import DecisionRule, Golden, Label, Manifest, sha256_of, write_manifest
from market_data.feature_sets import TOUCH_V1
from native import onnxruntime_library
from native._native import OnnxModel

WIDTH = len(TOUCH_V1.features)


def cautious(path: Path) -> None:
    """Expects a move of 0.02 bps or so: below every threshold."""
    _dense(path, layers=0, size=1, scale=1e-3)


def restless(path: Path) -> None:
    """Expects large moves either way, from nothing: trades across the spread at every decision."""
    _dense(path, layers=0, size=1, scale=1e3)


def slow(path: Path) -> None:
    """As cautious as the first, after milliseconds of dense layers."""
    _dense(path, layers=6, size=1400, scale=1e-6)


def write_version(folder: Path, graph: Callable[[Path], None], *, model: str, horizon_ns: int) -> Path:
    """Write a version's files as a training flow does."""
    folder.mkdir(parents=True)
    graph(folder / "model.onnx")
    inputs = np.random.default_rng(3).normal(size=(4, WIDTH)).astype(np.float32)
    outputs = OnnxModel(str(folder / "model.onnx"), onnxruntime_library()).predict(inputs)
    golden = Golden(inputs=tuple(map(tuple, inputs.tolist())), outputs=tuple(map(tuple, outputs.tolist())))
    (folder / "golden.json").write_bytes(msgspec.json.encode(golden))
    manifest = Manifest(
        model=model,
        family=graph.__name__,
        feature_set=TOUCH_V1.name,
        feature_hash=TOUCH_V1.hash,
        inputs=WIDTH,
        outputs=1,
        rule=DecisionRule(kind="expected_bps", threshold=1.0),
        label=Label(kind="mid_move", horizon_ns=horizon_ns),
        data=(),
        metrics={},
        parity_tolerance=1e-2,
        source_commit="0" * 40,
        files={name: sha256_of(folder / name) for name in ("model.onnx", "golden.json")},
    )
    write_manifest(folder, manifest)
    return folder


def _dense(path: Path, *, layers: int, size: int, scale: float) -> None:
    random = np.random.default_rng(2)
    weights = {"w_out": random.normal(0, scale, (size if layers else WIDTH, 1)).astype(np.float32)}
    nodes, last = [], "features"
    if layers:
        weights["w_in"] = random.normal(0, 0.1, (WIDTH, size)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", ["features", "w_in"], ["h0"]))
        last = "h0"
    for layer in range(layers):
        weights[f"w{layer}"] = random.normal(0, 1 / size**0.5, (size, size)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Tanh", [f"m{layer}"], [f"h{layer + 1}"]))
        last = f"h{layer + 1}"
    nodes.append(helper.make_node("MatMul", [last, "w_out"], ["output"]))
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, WIDTH])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
