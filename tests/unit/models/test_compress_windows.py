"""Nets over windows made smaller: narrower, taught by the wide one, their weights in int8."""

import numpy as np
import pytest
import torch
from msgspec import structs
from planted_data import planted

from models import compress_windows
from models.compress_windows import narrowed, told_by, window_candidates
from models.compression import choose
from models.families import family
from models.int8_graph import rounded, scale_of, stored
from models.int8_learning import int8_seen
from models.parity import INT8_TOLERANCE, compare, golden_inputs, run_onnx
from native._native import load_kernel

WINDOW = 4
NAMES = ("lstm", "deeplob", "binctabl", "mlplob")


@pytest.fixture(scope="module")
def rows():
    data = planted(rows=500)
    return data.rows(slice(WINDOW, None)).seen_through(WINDOW)


def made(name, rows, epochs=1):
    kind = family(name)
    config = structs.replace(kind.default(), epochs=epochs)
    return kind, config, kind.fit(rows.features, rows.classes, config, 1)


@pytest.mark.parametrize("name", NAMES)
def test_narrower_net_fits_and_keeps_its_weights_in_int8(name, rows, tmp_path):
    kind, config, model = made(name, rows)
    graph = model.to_onnx()
    smaller = narrowed(model, kind, config, 0.5 * graph.ByteSize())
    assert smaller is not None
    torch.manual_seed(1)
    net = kind.build(smaller, WINDOW, len(rows.names))
    small = stored(type(model)(model.scaling, net, window=WINDOW, name=name).to_onnx())
    assert small.ByteSize() <= 0.5 * graph.ByteSize()
    inputs = golden_inputs(rows.features)
    (tmp_path / "model.onnx").write_bytes(small.SerializeToString())
    kernel = load_kernel(str(tmp_path / "model.onnx"))
    compare(run_onnx(small, inputs), kernel.predict(inputs.reshape(len(inputs), -1)), tolerance=INT8_TOLERANCE)


def test_students_are_tried_after_and_while_rounding(rows, monkeypatch):
    monkeypatch.setattr(compress_windows, "STUDENT_EPOCHS", 2)
    monkeypatch.setattr(compress_windows, "TUNING_EPOCHS", 1)
    kind, config, model = made("binctabl", rows, epochs=2)
    candidates = window_candidates(model, kind, rows, config, 1)
    ways = " ".join(step for candidate in candidates for step in candidate.steps)
    assert all(way in ways for way in ("after training", "distilled", "while rounded"))
    choice = choose(model.to_onnx(), candidates, rows, seed=1, margin=1.0)
    assert choice.best.size_bytes <= 0.25 * model.to_onnx().ByteSize()


def test_nothing_narrower_fits_into_no_bytes(rows):
    kind, config, model = made("lstm", rows)
    assert narrowed(model, kind, config, 100) is None


def test_passes_see_int8_weights_and_learning_keeps_the_float_ones():
    torch.manual_seed(0)
    net = torch.nn.LSTM(6, 5, batch_first=True)
    kept = net.weight_ih_l0.detach().clone()
    rows = torch.randn(3, 4, 6)
    plain = net(rows)[0].detach()
    with int8_seen(net):
        seen = net(rows)[0]
        seen.sum().backward()
    weights = kept.numpy()
    np.testing.assert_array_equal(net.weight_ih_l0.detach().numpy(), weights)
    assert net.weight_ih_l0.grad.abs().sum() > 0
    assert 0 < (seen - plain).abs().max() < 0.05
    as_int8 = torch.nn.LSTM(6, 5, batch_first=True)
    as_int8.load_state_dict(net.state_dict())
    for name, values in as_int8.named_parameters():
        if name.startswith("weight"):
            array = values.detach().numpy()
            values.data = torch.from_numpy(rounded(array, scale_of(array)) * np.float32(scale_of(array)))
    torch.testing.assert_close(as_int8(rows)[0], seen)
    torch.testing.assert_close(net(rows)[0], plain)


def test_a_net_that_learnt_rounded_says_what_its_int8_graph_says(rows):
    _, _, model = made("lstm", rows)
    inputs = np.asarray(rows.features[:64])
    with int8_seen(model.net):
        said = model.scores(inputs)
    compare(run_onnx(stored(model.to_onnx()), inputs), said, tolerance=1e-3)


def test_loss_is_least_where_the_teacher_is_repeated():
    said = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    loss = told_by(said)
    order = torch.tensor([1, 0])
    same = torch.log(torch.from_numpy(said[[1, 0]]))
    assert loss(same, order, order) < loss(same + torch.tensor([0.5, 0.0, 0.0]), order, order)
