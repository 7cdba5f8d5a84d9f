"""Small graphs at random, and the comparison of kernels with ONNX Runtime on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from native import onnxruntime_library
from native._native import Model, OnnxError, OnnxModel, load_kernel

Floats = NDArray[np.float32]
ISAS = ("portable", "avx2", "avx512", "avx512vnni")


def graph(
    nodes: Sequence[NodeProto],
    tensors: dict[str, NDArray[Any]],
    *,
    sizes: Sequence[int],
    outputs: int,
    opset: int = 20,
) -> ModelProto:
    """Return a model from `features` (batch, *sizes) to `output` (batch, outputs)."""
    built = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", *sizes])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(np.asarray(value, order="C"), name) for name, value in tensors.items()],
    )
    sets = [helper.make_opsetid("", opset)]
    if any(node.domain == "ai.onnx.ml" for node in nodes):
        sets.append(helper.make_opsetid("ai.onnx.ml", 5 if nodes[0].op_type == "TreeEnsemble" else 3))
    return helper.make_model(built, opset_imports=sets, ir_version=10)


def floats(random: np.random.Generator, *sizes: int, spread: float = 1.0) -> Floats:
    """Return normal numbers of these sizes."""
    return (spread * random.standard_normal(sizes)).astype(np.float32)


def runnable_isas() -> list[str]:
    """Return the instruction sets that this processor and this build have kernels for."""
    found = []
    for isa in ISAS:
        try:
            load_kernel("/nowhere", isa)
        except OnnxError as error:
            if "lacks" not in str(error):
                found.append(isa)
    return found


def kernels_of(model: ModelProto, folder: Path) -> tuple[OnnxModel, list[Model]]:
    """Return ONNX Runtime and a kernel of every instruction set on the model."""
    path = folder / "model.onnx"
    onnx.save(model, path)
    return OnnxModel(str(path), onnxruntime_library()), [load_kernel(str(path), isa) for isa in runnable_isas()]


def agree(model: ModelProto, rows: Floats, folder: Path, *, family: str, tolerance: float = 2e-5) -> None:
    """Hold every kernel to ONNX Runtime on rows (n, ...), and to the name of its family."""
    reference, kernels = kernels_of(model, folder)
    flat = np.ascontiguousarray(rows.reshape(len(rows), -1))
    expected = reference.predict(flat)
    assert np.isfinite(expected).any()
    for kernel in kernels:
        assert kernel.tier.rsplit("-", 1)[0] == family
        assert (kernel.window, kernel.width, kernel.outputs) == (reference.window, reference.width, reference.outputs)
        np.testing.assert_allclose(kernel.predict(flat), expected, rtol=0, atol=tolerance, err_msg=kernel.tier)
