"""Streams whose state is carried answer as ONNX Runtime does over all that came since they began."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_kit import Floats, floats, graph, runnable_isas
from onnx import ModelProto, helper

from native import onnxruntime_library
from native._native import OnnxError, OnnxModel, StreamModel, load_stream

WIDTH = 5
STEPS = 150  # longer than any window


def _lstm(hidden: list[int], *, direction: str = "forward", head: str = "state") -> ModelProto:
    """Return scaled vectors, LSTM layers of non-zero first state, and a dense head on the last one's state."""
    random = np.random.default_rng(sum(hidden))
    tensors = {"axis": np.array([1]), "first": np.array([0]), "scale": floats(random, WIDTH), "late": np.array([-1])}
    nodes = [
        helper.make_node("Mul", ["features", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["x0"], perm=[1, 0, 2]),
    ]
    inputs = WIDTH
    for layer, units in enumerate(hidden):
        tensors |= {
            f"w{layer}": floats(random, 1, 4 * units, inputs, spread=inputs**-0.5),
            f"r{layer}": floats(random, 1, 4 * units, units, spread=units**-0.5),
            f"b{layer}": floats(random, 1, 8 * units, spread=0.3),
            f"h{layer}": floats(random, 1, 1, units),
            f"c{layer}": floats(random, 1, 1, units),
        }
        names = [f"{name}{layer}" for name in "xwrb"] + ["", f"h{layer}", f"c{layer}"]
        outputs = [f"y{layer}", f"state{layer}", f"cell{layer}"]
        nodes.append(helper.make_node("LSTM", names, outputs, hidden_size=units, direction=direction))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "axis"], [f"x{layer + 1}"]))
        inputs = units
    top = len(hidden) - 1
    tensors["head"] = floats(random, inputs, 3)
    if head == "every":  # the last of all states, picked out of all of them
        nodes.append(helper.make_node("Gather", [f"x{top + 1}", "late"], ["last"], axis=0))
        nodes.append(helper.make_node("Squeeze", ["last", "first"], ["state"]))
    else:
        nodes.append(helper.make_node("Squeeze", [f"{head}{top}", "first"], ["state"]))
    nodes.append(helper.make_node("MatMul", ["state", "head"], ["output"]))
    return graph(nodes, tensors, sizes=["steps", WIDTH], outputs=3)  # type: ignore[list-item]


def _loaded(model: ModelProto, folder: Path, streams: int) -> tuple[OnnxModel, list[StreamModel]]:
    path = str(folder / "model.onnx")
    onnx.save(model, path)
    reference = OnnxModel(path, onnxruntime_library(), stream=True)
    return reference, [load_stream(path, streams, isa) for isa in runnable_isas()]


def _vectors(seed: int, steps: int = STEPS) -> Floats:
    return floats(np.random.default_rng(seed), steps, WIDTH, spread=2)


@pytest.mark.parametrize(("hidden", "head"), [([7], "state"), ([12, 33], "state"), ([8, 8], "cell"), ([9, 4], "every")])
def test_a_stream_answers_as_onnxruntime_over_all_of_it(tmp_path: Path, hidden: list[int], head: str) -> None:
    reference, kernels = _loaded(_lstm(hidden, head=head), tmp_path, 1)
    vectors = _vectors(1)
    expected = reference.answers_along(vectors)
    # That the start still matters at the end is no accident of the weights: a window of 3 says something else.
    assert np.abs(expected[40] - reference.answers_along(vectors[38:41])[-1]).max() > 1e-3
    for kernel in kernels:
        assert kernel.tier.rsplit("-", 1)[0] == "lstm-stream"
        assert (kernel.window, kernel.width, kernel.outputs) == (1, WIDTH, 3)
        np.testing.assert_allclose(kernel.predict(vectors), expected, rtol=0, atol=3e-5, err_msg=kernel.tier)


def test_streams_in_turns_know_nothing_of_each_other_and_begin_anew_alone(tmp_path: Path) -> None:
    reference, kernels = _loaded(_lstm([12, 10]), tmp_path, 3)
    inputs = [_vectors(seed, 40) for seed in range(3)]
    expected = [reference.answers_along(vectors) for vectors in inputs]
    again = reference.answers_along(inputs[1][25:])
    for kernel in kernels:
        for step in range(40):
            for stream, vectors in enumerate(inputs):
                kernel.select(stream)
                if stream == 1 and step == 25:
                    kernel.restart(1)
                wanted = again[step - 25] if stream == 1 and step >= 25 else expected[stream][step]
                np.testing.assert_allclose(kernel.predict(vectors[step : step + 1])[0], wanted, rtol=0, atol=3e-5)


def test_a_stream_answers_the_same_bits_whether_or_not_it_settles_between(tmp_path: Path) -> None:
    _, kernels = _loaded(_lstm([12, 10]), tmp_path, 2)
    vectors = _vectors(4, 60)
    for kernel in kernels:
        kernel.latencies_ns(vectors[:30], 1)  # settles after each step
        settled = kernel.predict(vectors[30:])
        kernel.select(1)
        np.testing.assert_array_equal(settled, kernel.predict(vectors)[30:])
        # Begun anew right after it settled, nothing that was worked out ahead is left.
        kernel.latencies_ns(vectors[:1], 1)
        kernel.restart(1)
        kernel.select(0)
        kernel.restart(0)
        fresh = kernel.predict(vectors[:5])
        kernel.select(1)
        np.testing.assert_array_equal(kernel.predict(vectors[:5]), fresh)


def test_a_vector_that_is_not_finite_is_no_step(tmp_path: Path) -> None:
    reference, kernels = _loaded(_lstm([6]), tmp_path, 1)
    vectors = _vectors(5, 10)
    expected = reference.answers_along(vectors)
    bad = vectors[:1].copy()
    bad[0, 2] = np.nan
    for kernel in kernels:
        np.testing.assert_allclose(kernel.predict(vectors[:5]), expected[:5], rtol=0, atol=3e-5)
        with pytest.raises(OnnxError, match="gave no answer"):
            kernel.predict(bad)
        np.testing.assert_allclose(kernel.predict(vectors[5:]), expected[5:], rtol=0, atol=3e-5)


def test_a_stream_whose_outputs_are_not_finite_begins_anew(tmp_path: Path) -> None:
    reference, kernels = _loaded(_lstm([6]), tmp_path, 1)
    vectors = _vectors(6, 10)
    expected = reference.answers_along(vectors)
    # Finite, but inf and -inf in the sum over a vector: NaN from there on, would it be kept.
    huge = np.full((1, WIDTH), np.finfo(np.float32).max, np.float32)
    for kernel in kernels:
        kernel.predict(vectors[:3])
        said = kernel.predict(huge * np.array([[1, -1, 1, -1, 1]], np.float32))
        if np.isfinite(said).all():
            kernel.restart(0)  # this instruction set's sums stayed on one side
        np.testing.assert_allclose(kernel.predict(vectors), expected, rtol=0, atol=3e-5)


def test_what_is_no_stream_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"

    def refusal(model: ModelProto, streams: int = 1) -> str:
        onnx.save(model, path)
        with pytest.raises(OnnxError) as told:
            load_stream(str(path), streams)
        return str(told.value)

    assert "forward only" in refusal(_lstm([4], direction="reverse"))
    assert "expected 1..4096 streams, got 0" in refusal(_lstm([4]), 0)
    stated = _lstm([4])
    stated.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    assert "steps left open" in refusal(stated)
    with pytest.raises(OnnxError, match="steps left open"):
        OnnxModel(str(path), onnxruntime_library(), stream=True)
    mean = graph(
        [
            helper.make_node("ReduceMean", ["features", "axis"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "w"], ["output"]),
        ],
        {"axis": np.array([1]), "w": np.ones((WIDTH, 3), np.float32)},
        sizes=["steps", WIDTH],  # type: ignore[list-item]
        outputs=3,
    )
    assert "expected an LSTM" in refusal(mean)
    onnx.save(_lstm([4]), path)
    model = load_stream(str(path), 2)
    with pytest.raises(ValueError, match="stream: expected below 2, got 2"):
        model.select(2)
