"""Nets by our kernels, against ONNX Runtime."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from graph_kit import Floats, agree, floats, graph, kernels_of
from onnx import ModelProto, NodeProto, helper

SEEDS = range(4)
ACTIVATIONS = ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Gelu")


def _normalised(random: np.random.Generator, width: int) -> tuple[list[NodeProto], dict]:
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "inverse"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["h0"]),
    ]
    return nodes, {
        "mean": floats(random, width),
        "inverse": np.abs(floats(random, width)),
        "low": np.float32(-2),
        "high": np.float32(2),
    }


def _dense(random: np.random.Generator, widths: list[int], *, by_gemm: bool) -> ModelProto:
    nodes, tensors = _normalised(random, widths[0])
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        tensors |= {
            f"w{layer}": floats(random, inputs, outputs, spread=inputs**-0.5),
            f"b{layer}": floats(random, outputs),
        }
        if by_gemm:
            tensors[f"w{layer}"] = np.ascontiguousarray(tensors[f"w{layer}"].T)
            nodes.append(helper.make_node("Gemm", [f"h{layer}", f"w{layer}", f"b{layer}"], [f"s{layer}"], transB=1))
        else:
            nodes.append(helper.make_node("MatMul", [f"h{layer}", f"w{layer}"], [f"p{layer}"]))
            nodes.append(helper.make_node("Add", [f"p{layer}", f"b{layer}"], [f"s{layer}"]))
        last = layer == len(widths) - 2
        kind = "Softmax" if last else str(random.choice(ACTIVATIONS))
        nodes.append(helper.make_node(kind, [f"s{layer}"], ["output" if last else f"h{layer + 1}"]))
    return graph(nodes, tensors, sizes=[widths[0]], outputs=widths[-1])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("by_gemm", [True, False])
def test_random_dense_nets(tmp_path: Path, seed: int, by_gemm: bool) -> None:
    random = np.random.default_rng(seed)
    widths = [int(random.integers(1, 70)) for _ in range(random.integers(2, 5))] + [3]
    model = _dense(random, widths, by_gemm=by_gemm)
    agree(model, floats(random, 20, widths[0], spread=3), tmp_path, family="dense")


def _lstm(random: np.random.Generator, window: int, width: int, hidden: list[int], direction: str) -> ModelProto:
    nodes = [helper.make_node("Transpose", ["features"], ["x0"], perm=[1, 0, 2])]
    tensors, inputs = {"axis": np.array([1])}, width
    for layer, units in enumerate(hidden):
        tensors |= {
            f"w{layer}": floats(random, 1, 4 * units, inputs, spread=inputs**-0.5),
            f"r{layer}": floats(random, 1, 4 * units, units, spread=units**-0.5),
            f"b{layer}": floats(random, 1, 8 * units, spread=0.3),
        }
        names = [f"x{layer}", f"w{layer}", f"r{layer}", f"b{layer}"]
        outputs = [f"y{layer}", f"last{layer}"]
        nodes.append(helper.make_node("LSTM", names, outputs, hidden_size=units, direction=direction))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "axis"], [f"x{layer + 1}"]))
        inputs = units
    tensors |= {"first": np.array([0]), "head": floats(random, inputs, 3)}
    nodes += [
        helper.make_node("Squeeze", [f"last{len(hidden) - 1}", "first"], ["state"]),
        helper.make_node("MatMul", ["state", "head"], ["output"]),
    ]
    return graph(nodes, tensors, sizes=[window, width], outputs=3)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("shape", [(1, 1, [1]), (7, 5, [9]), (16, 16, [32, 17]), (12, 10, [8, 8])])
def test_lstm_over_a_window(tmp_path: Path, shape: tuple[int, int, list[int]], direction: str) -> None:
    random = np.random.default_rng(sum(shape[:2]))
    model = _lstm(random, *shape, direction)
    agree(model, floats(random, 8, shape[0], shape[1], spread=2), tmp_path, family="lstm")


@pytest.mark.parametrize("hidden", [[12], [12, 10], [8, 33, 5]])
def test_lstm_streams_are_the_same_bits_as_windows_by_themselves(tmp_path: Path, hidden: list[int]) -> None:
    random = np.random.default_rng(1)
    model = _lstm(random, 9, 6, hidden, "forward")
    reference, kernels = kernels_of(model, tmp_path)
    _, others = kernels_of(model, tmp_path)
    # More streams than a model follows, in turns and with a step missed, among windows that belong to none.
    streams = [_windows(floats(random, 90, 6), 9) for _ in range(3)]
    crowd = [_windows(floats(random, 12, 6), 9) for _ in range(20)]
    rows = [stream[step] for step in range(80) for stream in streams if step != 40]
    rows += [stream[step] for step in range(3) for stream in crowd]
    rows += [*floats(random, 5, 54), *streams[0][80:]]
    windows = np.stack(rows)
    for kernel, alone in zip(kernels, others, strict=True):
        moved = kernel.predict(windows)
        lone = np.concatenate([alone.predict(np.vstack([floats(random, 54), row]))[1:] for row in windows])
        np.testing.assert_array_equal(moved, lone)
        np.testing.assert_allclose(moved, reference.predict(windows), rtol=0, atol=2e-5)


def test_lstm_answers_the_same_whether_or_not_it_settles_between(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    model = _lstm(random, 5, 4, [6, 6], "forward")
    windows = _windows(floats(random, 40, 4), 5)
    for settling, waiting in zip(kernels_of(model, tmp_path)[1], kernels_of(model, tmp_path)[1], strict=True):
        settling.latencies_ns(windows[:20], 1)  # settles after each
        np.testing.assert_array_equal(settling.predict(windows[20:]), waiting.predict(windows)[20:])


def _windows(vectors: Floats, window: int) -> Floats:
    return np.stack([vectors[start : start + window].ravel() for start in range(len(vectors) - window + 1)])


def test_a_layer_whose_every_state_is_read_is_no_stream(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    model = _lstm(random, 6, 5, [7, 4], "forward")
    del model.graph.node[-2:]
    model.graph.node.extend([
        helper.make_node("ReduceMean", ["x2", "first"], ["state"], keepdims=0),
        helper.make_node("MatMul", ["state", "head"], ["output"]),
    ])  # fmt: skip
    agree(model, _windows(floats(random, 20, 5), 6), tmp_path, family="lstm")


def test_convolutions_pooling_and_lstm_as_in_books_nets(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    window, width = 12, 8
    tensors = {
        "in4": np.array([0, 1, window, width]),
        "c1": floats(random, 6, 1, 1, 2, spread=0.5),
        "c2": floats(random, 6, 6, 4, 1, spread=0.2),
        "c3": floats(random, 5, 6, 1, 4, spread=0.2),
        "c4": floats(random, 4, 5, 3, 1, spread=0.2),
        "c5": floats(random, 4, 5, 1, 1, spread=0.2),
        "bias": floats(random, 6),
        "out3": np.array([0, 8, -1]),
        "w": floats(random, 1, 4 * 7, 8, spread=0.3),
        "r": floats(random, 1, 4 * 7, 7, spread=0.3),
        "head": floats(random, 7, 3),
        "zero": np.array([0]),
    }
    nodes = [
        helper.make_node("Reshape", ["features", "in4"], ["x"]),
        helper.make_node("Conv", ["x", "c1", "bias"], ["a"], strides=[1, 2]),
        helper.make_node("LeakyRelu", ["a"], ["b"], alpha=0.01),
        helper.make_node("Conv", ["b", "c2"], ["c"], pads=[1, 0, 2, 0]),
        helper.make_node("Tanh", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "c3"], ["e"]),
        helper.make_node("Conv", ["e", "c4"], ["f"], pads=[1, 0, 1, 0]),
        helper.make_node("MaxPool", ["e"], ["g"], kernel_shape=[3, 1], pads=[1, 0, 1, 0]),
        helper.make_node("Conv", ["g", "c5"], ["h"]),
        helper.make_node("Concat", ["f", "h"], ["i"], axis=1),
        helper.make_node("Reshape", ["i", "out3"], ["j"]),
        helper.make_node("Transpose", ["j"], ["k"], perm=[2, 0, 1]),
        helper.make_node("LSTM", ["k", "w", "r"], ["", "state"], hidden_size=7),
        helper.make_node("Squeeze", ["state", "zero"], ["l"]),
        helper.make_node("MatMul", ["l", "head"], ["m"]),
        helper.make_node("Softmax", ["m"], ["output"]),
    ]
    model = graph(nodes, tensors, sizes=[window, width], outputs=3)
    agree(model, floats(random, 6, window, width, spread=2), tmp_path, family="lstm")


@pytest.mark.parametrize("dilation", [1, 2])
def test_convolution_along_time(tmp_path: Path, dilation: int) -> None:
    random = np.random.default_rng(dilation)
    tensors = {
        "c": floats(random, 7, 5, 3),
        "b": floats(random, 7),
        "head": floats(random, 7, 3),
        "axes": np.array([2]),
    }
    nodes = [
        helper.make_node("Transpose", ["features"], ["x"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["x", "c", "b"], ["y"], dilations=[dilation], pads=[2, 0]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("ReduceMean", ["z", "axes"], ["m"], keepdims=0),
        helper.make_node("MatMul", ["m", "head"], ["output"]),
    ]
    model = graph(nodes, tensors, sizes=[11, 5], outputs=3)
    agree(model, floats(random, 6, 11, 5), tmp_path, family="conv")


def test_attention_and_layer_norm(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    window, width = 10, 6
    tensors = {name: floats(random, width, width, spread=0.4) for name in ("q", "k", "v")}
    tensors |= {
        "left": floats(random, 4, window),
        "gain": floats(random, width),
        "shift": floats(random, width),
        "root": np.float32(width**0.5),
        "head": floats(random, 4 * width, 3),
        "two": np.float32(2),
    }
    nodes = [
        helper.make_node("LayerNormalization", ["features", "gain", "shift"], ["n"]),
        *(helper.make_node("MatMul", ["n", name], [f"{name}x"]) for name in ("q", "k", "v")),
        helper.make_node("Transpose", ["kx"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["qx", "kt"], ["scores"]),
        helper.make_node("Div", ["scores", "root"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], ["shares"], axis=1),
        helper.make_node("MatMul", ["shares", "vx"], ["mixed"]),
        helper.make_node("Add", ["mixed", "features"], ["sum"]),
        helper.make_node("Pow", ["sum", "two"], ["p"]),
        helper.make_node("Sub", ["p", "shift"], ["less"]),
        helper.make_node("MatMul", ["left", "less"], ["few"]),
        helper.make_node("Flatten", ["few"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["output"]),
    ]
    model = graph(nodes, tensors, sizes=[window, width], outputs=3)
    agree(model, floats(random, 6, window, width), tmp_path, family="attention", tolerance=2e-4)


def test_movements_and_broadcasts(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    window, width = 6, 4
    tensors = {
        "last": np.array([-1]),
        "starts": np.array([1, 0]),
        "ends": np.array([100, 3]),
        "axes": np.array([1, 2]),
        "column": floats(random, 5, 1),
        "pads": np.array([0, 1, 0, 0, 0, 2]),
        "fill": np.float32(0.5),
        "one": np.array([1]),
        "wanted": np.array([1, 8, 5]),
        "head": floats(random, 45, 2),
    }
    nodes = [
        helper.make_node("Slice", ["features", "starts", "ends", "axes"], ["a"]),  # (5, 3)
        helper.make_node("Mul", ["a", "column"], ["b"]),
        helper.make_node("Pad", ["b", "pads", "fill"], ["c"]),  # (6, 5)
        helper.make_node("Split", ["c"], ["d", "e"], axis=1, num_outputs=2),  # (3, 5) each
        helper.make_node("Sub", ["d", "e"], ["f"]),
        helper.make_node("ReduceMax", ["f", "one"], ["g"], keepdims=1),  # (1, 5)
        helper.make_node("Max", ["g", "f"], ["h"]),
        helper.make_node("Gather", ["h", "last"], ["i"], axis=1),  # (1, 5)
        helper.make_node("Concat", ["i", "h", "d"], ["j"], axis=1),  # (7, 5)
        helper.make_node("Sigmoid", ["j"], ["k"]),
        helper.make_node("Expand", ["g", "wanted"], ["l"]),  # (8, 5)
        helper.make_node("Shape", ["l"], ["size"], start=2),
        helper.make_node("Reshape", ["i", "size"], ["m"]),  # (5)
        helper.make_node("Sub", ["m", "k"], ["n"]),
        helper.make_node("Abs", ["n"], ["o"]),
        helper.make_node("Concat", ["o", "d"], ["p"], axis=1),  # (10, 5)
        helper.make_node("Flatten", ["p"], ["r"]),
        helper.make_node("Slice", ["r", "start5", "end50", "one"], ["s"]),
        helper.make_node("MatMul", ["s", "head"], ["output"]),
    ]
    tensors |= {"start5": np.array([5]), "end50": np.array([50])}
    model = graph(nodes, tensors, sizes=[window, width], outputs=2)
    agree(model, floats(random, 6, window, width), tmp_path, family="dense")


def test_weights_and_activations_of_eight_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    int8 = random.integers(-64, 64, (20, 24)).astype(np.int8)
    tensors = {
        "xs": np.float32(0.05),
        "xz": np.int8(3),
        "w": int8,
        "ws": np.abs(floats(random, 24)) * np.float32(0.01) + np.float32(0.001),
        "wz": np.zeros(24, np.int8),
        "b": floats(random, 24),
        "ys": np.float32(0.02),
        "yz": np.uint8(5),
        "head": floats(random, 24, 3, spread=0.3),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["features", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=1),
        helper.make_node("Gemm", ["x", "wf", "b"], ["s"]),
        helper.make_node("Relu", ["s"], ["h"]),
        helper.make_node("QuantizeLinear", ["h", "ys", "yz"], ["hq"]),
        helper.make_node("DequantizeLinear", ["hq", "ys", "yz"], ["hf"]),
        helper.make_node("MatMul", ["hf", "head"], ["output"]),
    ]
    model = graph(nodes, tensors, sizes=[20], outputs=3)
    # A tie that falls the other way moves a hidden value by a whole step.
    agree(model, floats(random, 50, 20, spread=4), tmp_path, family="dense", tolerance=0.05)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (7, 3), (64, 64), (33, 50)])
@pytest.mark.parametrize("turned", [0, 1])
def test_products_of_bytes_are_exact_and_keep_nan(tmp_path: Path, inputs: int, outputs: int, turned: int) -> None:
    random = np.random.default_rng(inputs)
    weights = random.integers(-128, 128, (outputs, inputs) if turned else (inputs, outputs)).astype(np.int8)
    scale, scales = np.float32(0.05), np.abs(floats(random, outputs)) + np.float32(0.1)
    tensors = {"xs": scale, "xz": np.uint8(131), "w": weights, "ws": scales, "b": floats(random, outputs)}
    nodes = [
        helper.make_node("QuantizeLinear", ["features", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=1 - turned),
        helper.make_node("Gemm", ["x", "wf", "b"], ["output"], transB=turned),
    ]
    model = graph(nodes, tensors, sizes=[inputs], outputs=outputs)
    rows = floats(random, 20, inputs, spread=5)
    steps = np.clip(np.round(rows / scale) + 131, 0, 255).astype(np.int64) - 131
    laid = (weights.T if turned else weights).astype(np.int64)
    exact = (steps @ laid) * (scale.astype(np.float64) * scales) + tensors["b"]
    for kernel in kernels_of(model, tmp_path)[1]:
        np.testing.assert_allclose(kernel.predict(rows), exact, rtol=3e-7, atol=1e-6, err_msg=kernel.tier)
        broken = rows[:1].copy()
        broken[0, -1] = np.nan
        assert np.isnan(kernel.predict(broken)).all()
        assert np.isfinite(kernel.predict(rows)).all()


def test_nodes_that_are_not_known_are_refused_by_name(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sin", ["features"], ["output"])]
    with pytest.raises(RuntimeError, match="node Sin"):
        kernels_of(graph(nodes, {}, sizes=[4], outputs=4), tmp_path)
