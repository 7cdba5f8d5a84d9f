"""Graphs through ONNX Runtime's C interface."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from worker_kit import WIDTH, linear_graph

from data_contracts.errors import ModelError
from native import onnxruntime_library
from native._native import OnnxModel, onnxruntime_version
from serving.slots import load_model


def test_answers_are_those_of_the_python_package(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    rows = np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    model = OnnxModel(str(tmp_path / "model.onnx"), onnxruntime_library())
    assert (model.inputs, model.outputs) == (WIDTH, 3)
    expected = np.concatenate([session.run(None, {"features": row[None]})[0] for row in rows])
    np.testing.assert_array_equal(model.predict(rows), expected)


def test_version_is_the_wheels() -> None:
    assert onnxruntime_version(onnxruntime_library()) == onnxruntime.__version__


def test_latencies_are_one_for_each_run(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    model = OnnxModel(str(tmp_path / "model.onnx"), onnxruntime_library())
    spent = model.latencies_ns(np.zeros((4, WIDTH), np.float32), 5)
    assert spent.shape == (20,)
    assert (spent > 0).all()


def test_rows_of_another_width_are_refused(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    model = OnnxModel(str(tmp_path / "model.onnx"), onnxruntime_library())
    with pytest.raises(ValueError, match="expected width 16, got 3"):
        model.predict(np.zeros((1, 3), np.float32))


def test_window_is_read_oldest_vector_first(tmp_path: Path) -> None:
    weights = np.arange(1, 7, dtype=np.float32).reshape(6, 1)
    nodes = [
        helper.make_node("Flatten", ["features"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["output"]),
    ]
    window = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3, 2])]
    output = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1])]
    graph = helper.make_graph(nodes, "g", window, output, [onnx.numpy_helper.from_array(weights, "weights")])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    model = load_model(path)
    assert (model.window, model.width, model.inputs, model.outputs) == (3, 2, 6, 1)
    assert model.tier == "onnxruntime"
    rows = np.eye(6, dtype=np.float32)
    np.testing.assert_array_equal(model.predict(rows), weights)


def _graph(path: Path, *, kind: int, shape: list[int | None], op: str = "Identity", inputs: int = 1) -> None:
    names = [f"in{i}" for i in range(inputs)]
    node = helper.make_node(op, names, ["output"])
    infos = [helper.make_tensor_value_info(name, kind, shape) for name in names]
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("output", kind, shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": TensorProto.DOUBLE, "shape": [None, 4]}, "expected float32"),
        (
            {"kind": TensorProto.FLOAT, "shape": [None, 4, 4, 4]},
            r"expected shape \[batch, 1..256\].*got \[-1, 4, 4, 4\]",
        ),
        ({"kind": TensorProto.FLOAT, "shape": [None, None, 4]}, r"got \[-1, -1, 4\]"),
        ({"kind": TensorProto.FLOAT, "shape": [None, 128, 256]}, r"of at most 8192 floats, got \[-1, 128, 256\]"),
        ({"kind": TensorProto.FLOAT, "shape": [None, 4, 4]}, r"output output: expected shape \[1, 1..64\]"),
        ({"kind": TensorProto.FLOAT, "shape": [None, None]}, r"got \[-1, -1\]"),
        ({"kind": TensorProto.FLOAT, "shape": [8, 4]}, r"got \[8, 4\]"),
        ({"kind": TensorProto.FLOAT, "shape": [None, 4], "op": "Add", "inputs": 2}, "expected one input"),
        ({"kind": TensorProto.FLOAT, "shape": [None, 100]}, r"output output: expected shape \[1, 1..64\]"),
    ],
)
def test_graph_of_another_shape_is_refused(tmp_path: Path, options: dict, message: str) -> None:
    path = tmp_path / "model.onnx"
    _graph(path, **options)
    with pytest.raises(ModelError, match=message):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08" * 100])
def test_file_that_holds_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx"):
        load_model(path)


def test_library_that_is_not_there_is_refused() -> None:
    with pytest.raises(RuntimeError, match="nowhere"):
        OnnxModel("model.onnx", "/nowhere/libonnxruntime.so")


def test_rows_together_are_answered_as_one_by_one(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    model = load_model(tmp_path / "model.onnx")
    rows = np.random.default_rng(1).normal(size=(37, WIDTH)).astype(np.float32)
    assert model.batches
    np.testing.assert_allclose(model.predict(rows, together=True), model.predict(rows), rtol=0, atol=1e-6)


def test_a_graph_of_one_row_is_run_row_by_row(tmp_path: Path) -> None:
    """One that states a batch of one, and one that leaves it open and then takes one all the same."""
    for batch, shape in ((1, None), ("batch", [1, 4])):
        nodes = [helper.make_node("Relu", ["features"], ["output"])]
        constants = []
        if shape is not None:
            nodes = [helper.make_node("Reshape", ["features", "shape"], ["output"])]
            constants = [onnx.numpy_helper.from_array(np.asarray(shape, np.int64), "shape")]
        given = [helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, 4])]
        taken = [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)]
        graph = helper.make_graph(nodes, "g", given, taken, constants)
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
        model = load_model(path)
        assert not model.batches
        rows = np.ones((2, 4), np.float32)
        np.testing.assert_array_equal(model.predict(rows, together=True), rows)
