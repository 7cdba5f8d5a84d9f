"""Versions with small ONNX graphs over touch_v1, written as a training flow writes them; tests use them too."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from data_contracts.manifest import DecisionRule, Golden, Label, Manifest, sha256_of, write_manifest
from market_data.feature_sets import TOUCH_V1
from native import onnxruntime_library
from native._native import OnnxModel

WIDTH: Final = len(TOUCH_V1.features)
OPSET: Final = 13
Graph = Callable[[Path], None]
"""Writes model.onnx to a path."""


def save_graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: Mapping[str, NDArray[Any]],
    *,
    outputs: int = 1,
    window: int = 1,
) -> None:
    """Write a graph from `features`, shape (n, WIDTH) or (n, window, WIDTH), to `output`, shape (n, outputs).

    Args:
        path: of model.onnx.
        nodes: in order.
        weights: initialisers by name.
        outputs: columns of the output.
        window: vectors of a row; 0: a stream's steps, left open.
    """
    shape: list[int | None] = [None, WIDTH] if window == 1 else [None, window or None, WIDTH]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, outputs])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), path)


def write_version(
    folder: Path,
    graph: Graph,
    *,
    model: str,
    horizon_ns: int,
    golden_inputs: NDArray[np.float32] | None = None,
    **changes: Any,  # noqa: ANN401
) -> Path:
    """Write a version's files; return the folder.

    Args:
        folder: made here.
        graph: writes the model.
        model: registered model that the manifest names.
        horizon_ns: of its label.
        golden_inputs: of the golden vectors, shape (n, WIDTH) or (n, window * WIDTH); None: four at random.
        changes: other fields of the manifest than those of a model that predicts bps.
    """
    folder.mkdir(parents=True)
    graph(folder / "model.onnx")
    inputs = golden_inputs
    if inputs is None:
        inputs = np.random.default_rng(3).normal(size=(4, WIDTH)).astype(np.float32)
    stream = changes.get("state") == "stream"
    model_run = OnnxModel(str(folder / "model.onnx"), onnxruntime_library(), stream=stream)
    outputs = model_run.answers_along(inputs) if stream else model_run.predict(inputs)
    golden = Golden(inputs=tuple(map(tuple, inputs.tolist())), outputs=tuple(map(tuple, outputs.tolist())))
    (folder / "golden.json").write_bytes(msgspec.json.encode(golden))
    manifest = Manifest(
        model=model,
        family=getattr(graph, "__name__", "graph"),
        feature_set=TOUCH_V1.name,
        feature_hash=TOUCH_V1.hash,
        inputs=WIDTH,
        outputs=outputs.shape[1],
        rule=DecisionRule(kind="expected_bps", threshold=1.0),
        label=Label(kind="mid_move", horizon_ns=horizon_ns),
        data=(),
        metrics={},
        parity_tolerance=1e-2,
        source_commit="0" * 40,
        files={name: sha256_of(folder / name) for name in ("model.onnx", "golden.json")},
    )
    write_manifest(folder, msgspec.structs.replace(manifest, **changes))
    return folder
