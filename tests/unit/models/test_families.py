"""One checker for every family: what the port promises, each of them keeps."""

from typing import Any

import msgspec
import numpy as np
import onnx
import optuna
import pytest

from data_contracts.errors import UsageError
from models.families import NAMES, family
from models.families.port import learns_moves
from models.onnx_graph import INPUT, OUTPUT
from models.parity import FLOAT_TOLERANCE, check_parity, golden_inputs, window_of
from models.windows import Windows
from native import onnxruntime_library
from native._native import OnnxModel, kernel_isa, load_kernel

KERNELS = {
    "majority": "dense",
    "logistic": "dense",
    "ridge": "dense",
    "xgboost": "trees",
    "mlp": "dense",
    "lstm": "lstm",
    "deeplob": "lstm",
    "binctabl": "dense",
    "mlplob": "dense",
}
"""What serves each family."""
WIDTH = 6
WINDOW = 8


CASES = [(name, target) for name in NAMES for target in family(name).targets]


@pytest.fixture(scope="module", params=CASES, ids=["-".join(case) for case in CASES])
def case(request):
    return family(request.param[0]), request.param[1]


@pytest.fixture(scope="module")
def kind(case):
    return case[0]


def config_of(kind) -> Any:
    # A few epochs are enough to see that a net learns.
    config = kind.default()
    return msgspec.structs.replace(config, epochs=min(config.epochs, 5)) if hasattr(config, "epochs") else config


def made_rows(kind, target: str, rows: int = 1200) -> tuple[Any, np.ndarray]:
    """What the family reads, vectors or windows, and classes or moves; the newest vector's first value leads."""
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(rows, WIDTH)).astype(np.float32)
    lead = 1.5 * vectors[:, 0] + generator.normal(size=rows)
    classes = (1 + (lead > 0.7).astype(np.int8) - (lead < -0.7).astype(np.int8)).astype(np.int8)
    targets = 0.3 + 2 * lead if target == "move" else classes
    if kind.window == 1:
        return vectors, targets
    places = np.arange(WINDOW - 1, rows)
    return Windows(vectors, places, WINDOW), targets[places]


@pytest.fixture(scope="module")
def rows(case):
    return made_rows(*case)


@pytest.fixture(scope="module")
def fitted(kind, rows):
    return kind.fit(rows[0][:400], rows[1][:400], config_of(kind), 5)


def test_scores_are_probabilities_of_three_classes_or_one_move(fitted, rows):
    said = fitted.scores(rows[0])
    assert said.dtype == np.float32
    if learns_moves(rows[1]):
        assert said.shape == (len(rows[1]), 1)
        return
    assert said.shape == (len(rows[1]), 3)
    np.testing.assert_allclose(said.sum(axis=1), 1.0, atol=1e-5)


def test_same_seed_gives_the_same_scores(kind, fitted, rows):
    again = kind.fit(rows[0][:400], rows[1][:400], config_of(kind), 5)
    np.testing.assert_array_equal(again.scores(rows[0]), fitted.scores(rows[0]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(kind, rows, bad):
    features = rows[0]
    if kind.window > 1:
        vectors = features.vectors.copy()
        vectors[features.places[17], 2] = bad
        features = Windows(vectors, features.places, features.size)
    else:
        features = features.copy()
        features[17, 2] = bad
    with pytest.raises(UsageError, match="row 17"):
        kind.fit(features, rows[1], config_of(kind), 1)


def test_targets_that_say_nothing_are_refused(kind, rows):
    if learns_moves(rows[1]):
        moves = rows[1].copy()
        moves[17] = np.nan
        with pytest.raises(UsageError, match="finite moves, got NaN or infinity in row 17"):
            kind.fit(rows[0], moves, config_of(kind), 1)
        return
    with pytest.raises(UsageError, match=r"found none of \[2\]"):
        kind.fit(rows[0], np.minimum(rows[1], 1), config_of(kind), 1)


def test_exported_graph_keeps_the_convention_and_the_scores(kind, fitted, rows):
    graph = fitted.to_onnx()
    assert [value.name for value in graph.graph.input] == [INPUT]
    assert [value.name for value in graph.graph.output] == [OUTPUT]
    check_parity(graph, fitted.scores, golden_inputs(rows[0]), tolerance=FLOAT_TOLERANCE)
    assert window_of(graph) == (WINDOW if kind.window > 1 else 1)
    assert graph.ByteSize() < 300_000


def test_the_engine_has_a_kernel_for_the_exported_graph(kind, fitted, rows, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(fitted.to_onnx(), path)
    inputs = golden_inputs(rows[0])
    flat = np.ascontiguousarray(inputs.reshape(len(inputs), -1))
    kernel = load_kernel(str(path))
    assert kernel.tier == f"{KERNELS[kind.name]}-{kernel_isa()}"
    expected = OnnxModel(str(path), onnxruntime_library()).predict(flat)
    np.testing.assert_allclose(kernel.predict(flat), expected, rtol=0, atol=1e-5)


def test_learning_families_beat_the_class_shares(kind, rows):
    if kind.name == "majority":
        return
    learnt, truth = 900, rows[1][900:]
    said = kind.fit(rows[0][:learnt], rows[1][:learnt], kind.default(), 1).scores(rows[0][learnt:])
    if learns_moves(truth):
        known = rows[1][:learnt].mean()
        assert np.mean((said[:, 0] - truth) ** 2) < 0.85 * np.mean((known - truth) ** 2)
        return
    shares = np.bincount(rows[1][:learnt]) / learnt
    assert -np.log(said[np.arange(len(truth)), truth]).mean() < -np.log(shares[truth]).mean() - 0.05


def test_configuration_is_what_a_trial_suggests(kind):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    assert type(kind.suggest(study.ask())) is type(kind.default())


@pytest.mark.parametrize(("name", "target"), [("logistic", "move"), ("ridge", "direction")])
def test_target_a_family_cannot_learn_is_refused(name, target):
    vectors, targets = made_rows(family("xgboost"), target)
    with pytest.raises(UsageError, match=rf"targets: expected \w+, got {target}"):
        family(name).fit(vectors, targets, family(name).default(), 1)


def test_rows_that_are_no_windows_are_refused_by_who_reads_windows():
    with pytest.raises(
        UsageError, match=r"lstm: expected windows \(n, w, d\) to learn from, got rows of shape \(9, 2\)"
    ):
        family("lstm").fit(np.zeros((9, 2), np.float32), np.zeros(9, np.int8), family("lstm").default(), 1)


def test_unknown_family_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="majority, logistic, ridge, xgboost, mlp"):
        family("oracle")
