"""One row through ONNX Runtime: its C API as the worker calls it, against Python's session.run; same file."""

import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks.report import paired, ratio
from native import onnxruntime_library
from native._native import OnnxModel

if TYPE_CHECKING:
    import onnxruntime

ROWS = 2_000
WIDTHS = (64, 64, 64, 3)


def run() -> list[dict[str, Any]]:
    """Measure a dense 64-64-64-3 net, batch 1, p50."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dense.onnx"
        onnx.save(_dense(), path)
        native = OnnxModel(str(path), onnxruntime_library())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        rows = np.random.default_rng(1).standard_normal((ROWS, WIDTHS[0])).astype(np.float32)
        pairs = paired(
            lambda: float(np.median(native.latencies_ns(rows, 1))) / 1e3, lambda: _python_p50_us(session, rows), 7
        )
    return [ratio("dense 64-64-64-3", pairs, peer_name="onnxruntime, Python", unit="us p50", smaller_wins=True)]


def _python_p50_us(session: "onnxruntime.InferenceSession", rows: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    taken = []
    for row in rows:
        start = time.perf_counter_ns()
        session.run(None, {"features": row[np.newaxis]})
        taken.append(time.perf_counter_ns() - start)
    return float(np.median(taken)) / 1e3


def _dense() -> onnx.ModelProto:
    random = np.random.default_rng(2)
    nodes, initializers, name = [], [], "features"
    for layer, (width, out) in enumerate(pairwise(WIDTHS)):
        weights = (random.standard_normal((width, out)) / np.sqrt(width)).astype(np.float32)
        initializers += [
            onnx.numpy_helper.from_array(weights, f"w{layer}"),
            onnx.numpy_helper.from_array(np.zeros(out, np.float32), f"b{layer}"),
        ]
        last = layer == len(WIDTHS) - 2
        nodes.append(helper.make_node("Gemm", [name, f"w{layer}", f"b{layer}"], [f"g{layer}"]))
        nodes.append(
            helper.make_node("Softmax" if last else "Relu", [f"g{layer}"], ["output" if last else f"h{layer}"])
        )
        name = f"h{layer}"
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", WIDTHS[0]])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", WIDTHS[-1]])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
