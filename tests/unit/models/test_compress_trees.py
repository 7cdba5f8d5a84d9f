"""Forests made smaller: the same function packed, and the smaller ones close to it."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from planted_data import planted

from data_contracts.errors import ModelError
from models.compress_trees import tree_candidates
from models.compression import choose
from models.families import family
from models.onnx_graph import INPUT
from models.parity import FLOAT_TOLERANCE, compare, golden_inputs, run_onnx
from models.tree_graph import Forest, Leaf, Split, pack, read_forest


@pytest.fixture(scope="module")
def data():
    return planted(rows=6000)


@pytest.fixture(scope="module")
def learnt(data):
    return data.rows(slice(0, 3000))


@pytest.fixture(scope="module")
def config():
    kind = family("xgboost").default()
    return type(kind)(trees=20, depth=3, learning_rate=0.15)


@pytest.fixture(scope="module")
def model(learnt, config):
    return family("xgboost").fit(learnt.features, learnt.classes, config, 1)


def test_packed_forest_answers_the_same_from_a_third_of_the_bytes(model, learnt):
    original = model.to_onnx()
    packed = pack(read_forest(original))
    inputs = np.vstack([learnt.features, golden_inputs(learnt.features)])
    np.testing.assert_allclose(run_onnx(packed, inputs), run_onnx(original, inputs), atol=1e-6)
    assert packed.ByteSize() < 0.4 * original.ByteSize()


def test_packed_forest_answers_alike_in_two_engines(model, learnt):
    packed = pack(read_forest(model.to_onnx()).rounded())
    inputs = golden_inputs(learnt.features)
    compare(
        run_onnx(packed, inputs), ReferenceEvaluator(packed).run(None, {INPUT: inputs})[0], tolerance=FLOAT_TOLERANCE
    )


def test_rounding_folds_splits_and_stays_close(model, learnt):
    forest = read_forest(model.to_onnx())
    coarse, fine = forest.rounded(4), forest.rounded()
    assert coarse.splits() < forest.splits()
    assert len({leaf.weight for leaf in coarse.leaves() if leaf.cls == 0}) <= 4
    np.testing.assert_allclose(run_onnx(pack(fine), learnt.features), model.scores(learnt.features), atol=0.02)


def test_constant_trees_and_classes_without_a_tree_keep_their_base():
    forest = Forest((Leaf(0, 0.5), Split(1, 2.0, Leaf(0, 1.0), Leaf(0, -1.0))), (0.1, 0.2, 0.3), inputs=2)
    rows = np.array([[0, 1.9], [0, 2.0]], dtype=np.float32)
    sums = np.array([[1.6, 0.2, 0.3], [-0.4, 0.2, 0.3]])
    wanted = np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run_onnx(pack(forest), rows), wanted, atol=1e-6)


def test_a_constant_is_no_forest():
    with pytest.raises(ModelError, match="got constants only"):
        pack(Forest((Leaf(0, 0.5),), (0.0, 0.0, 0.0), inputs=2))


def test_only_a_tree_classifier_is_read(learnt):
    kind = family("logistic")
    other = kind.fit(learnt.features, learnt.classes, kind.default(), 1).to_onnx()
    with pytest.raises(ModelError, match="expected one of TreeEnsembleClassifier, TreeEnsembleRegressor"):
        read_forest(other)


def test_a_quarter_of_the_bytes_suffices_where_the_signal_is_simple(model, config, learnt, data):
    original, held_out = model.to_onnx(), data.rows(slice(3003, None))
    choice = choose(original, tree_candidates(model, learnt, config, 1), held_out, seed=1, margin=0.02)
    assert choice.best is not None
    assert choice.best.size_bytes <= 0.25 * original.ByteSize()
    assert choice.best.confirmed.high <= 0.02
