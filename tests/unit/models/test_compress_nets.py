"""Dense nets made smaller: pruned, taught by themselves, in int8 after and while learning."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from planted_data import planted

from models import compress_nets
from models.compress_nets import net_candidates, prune_units, quantize
from models.compression import choose
from models.families import family
from models.families.mlp import MlpConfig, linear
from models.int8_graph import activation_scales, dense_int8, rounded, scale_of, stored
from models.int8_learning import Int8Linear, fake_int8, int8_tuned
from models.onnx_graph import INPUT
from models.parity import INT8_TOLERANCE, compare, golden_inputs, run_onnx


@pytest.fixture(scope="module")
def data():
    return planted(rows=3000)


@pytest.fixture(scope="module")
def learnt(data):
    return data.rows(slice(0, 1200))


@pytest.fixture(scope="module")
def config():
    return MlpConfig(epochs=2)


@pytest.fixture(scope="module")
def model(learnt, config):
    return family("mlp").fit(learnt.features, learnt.classes, config, 1)


def in_reference(graph, inputs):
    return ReferenceEvaluator(graph).run(None, {INPUT: inputs})[0]


def test_a_quarter_of_the_bytes_suffices_where_the_signal_is_simple(model, config, learnt, data, monkeypatch):
    monkeypatch.setattr(compress_nets, "STUDENT_EPOCHS", 4)
    monkeypatch.setattr(compress_nets, "TUNING_EPOCHS", 2)
    original = model.to_onnx()
    candidates = net_candidates(model, learnt, config, 1)
    choice = choose(original, candidates, data.rows(slice(1203, None)), seed=1, margin=0.02)
    assert choice.best is not None
    assert choice.best.size_bytes <= 0.25 * original.ByteSize()
    assert choice.best.confirmed.high <= 0.02
    ways = " ".join(step for candidate in candidates for step in candidate.steps)
    assert all(way in ways for way in ("after training", "pruned", "while rounded", "distilled"))


def test_kept_weights_are_int8_and_answers_hardly_move(model, learnt):
    graph = stored(model.to_onnx())
    kinds = [tensor.data_type for tensor in graph.graph.initializer]
    assert kinds.count(onnx.TensorProto.INT8) == len(model.layers)
    inputs = golden_inputs(learnt.features)
    np.testing.assert_allclose(run_onnx(graph, inputs), model.scores(inputs), atol=0.03)
    compare(run_onnx(graph, inputs), in_reference(graph, inputs), tolerance=INT8_TOLERANCE)


def test_rounded_weights_come_back_within_half_a_step():
    weights = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    scale = scale_of(weights)
    assert np.abs(rounded(weights, scale) * scale - weights).max() <= scale / 2 * 1.0001
    assert scale_of(np.zeros((2, 2), np.float32)) == 1.0


def test_torch_rounds_weights_as_the_graph_does():
    weights = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)
    scale = scale_of(weights)
    seen = fake_int8(torch.from_numpy(weights)).numpy()
    np.testing.assert_array_equal(seen, rounded(weights, scale).astype(np.float32) * np.float32(scale))


def test_net_that_learnt_in_int8_says_in_torch_what_its_graph_says(model, learnt, config):
    aware, scales = int8_tuned(model, learnt.features, model.scores(learnt.features), config, 1)
    graph = dense_int8(aware.scaling, aware.layers, scales)
    inputs = golden_inputs(learnt.features)
    *hidden, last = (linear(layer) for layer in aware.layers)
    with torch.inference_mode():
        values = torch.from_numpy(aware.scaling.apply(inputs))
        for layer, scale in zip(hidden, scales, strict=True):
            values = torch.relu(Int8Linear(layer, scale)(values))
        said = torch.softmax(last(values), dim=1).numpy()
    compare(run_onnx(graph, inputs), said, tolerance=INT8_TOLERANCE)
    compare(run_onnx(graph, inputs), in_reference(graph, inputs), tolerance=INT8_TOLERANCE)


def test_learning_in_int8_passes_gradients_as_if_nothing_were_rounded():
    layer = Int8Linear(torch.nn.Linear(3, 2), 0.05)
    layer(torch.randn(8, 3)).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()
    assert layer.weight.grad.abs().sum() > 0


def test_pruned_units_are_those_that_say_least(model, learnt):
    (first, bias), (after, after_bias), *rest = model.layers
    dumb = (np.hstack([first, np.zeros((len(first), 1), np.float32)]), np.append(bias, np.float32(0)))
    wider = (np.vstack([after, np.ones((1, after.shape[1]), np.float32)]), after_bias)
    padded = dataclasses.replace(model, layers=(dumb, wider, *rest))
    kept = prune_units(padded, learnt.features, bias.size / (bias.size + 1))
    np.testing.assert_array_equal(kept.layers[0][0], first)


def test_static_int8_answers_alike_in_two_engines_even_where_every_input_is_extreme(model, learnt):
    small = quantize(model, learnt.features[:500])
    inputs = golden_inputs(learnt.features)
    compare(run_onnx(small, inputs), in_reference(small, inputs), tolerance=INT8_TOLERANCE)


def test_activation_steps_reach_as_far_as_activations_do(model, learnt):
    hidden = model.hidden(learnt.features)
    steps = activation_scales(hidden[: len(model.layers) - 1])
    assert steps[0] * 127 == pytest.approx(8.0)
    assert steps[1] * 127 == pytest.approx(hidden[1].max(), rel=1e-5)
