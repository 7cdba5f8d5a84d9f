"""One checker for every family: what the port promises, each of them keeps."""

import numpy as np
import pytest

from data_contracts.errors import UsageError
from models.families import NAMES, family
from models.onnx_graph import INPUT, OUTPUT
from models.parity import FLOAT_TOLERANCE, check_parity, golden_inputs

WIDTH = 6


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    features = generator.normal(size=(2000, WIDTH)).astype(np.float32)
    lead = features[:, 0] + generator.normal(size=2000)
    return features, (1 + (lead > 0.7).astype(np.int8) - (lead < -0.7).astype(np.int8)).astype(np.int8)


@pytest.fixture(scope="module", params=NAMES)
def kind(request):
    return family(request.param)


def test_scores_are_probabilities_of_three_classes(kind, rows):
    said = kind.fit(*rows, kind.default(), 1).scores(rows[0])
    assert said.shape == (2000, 3)
    assert said.dtype == np.float32
    np.testing.assert_allclose(said.sum(axis=1), 1.0, atol=1e-5)


def test_same_seed_gives_the_same_scores(kind, rows):
    first, second = (kind.fit(*rows, kind.default(), 5).scores(rows[0]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(kind, rows, bad):
    features = rows[0].copy()
    features[17, 2] = bad
    with pytest.raises(UsageError, match="row 17"):
        kind.fit(features, rows[1], kind.default(), 1)


def test_missing_class_is_refused(kind, rows):
    with pytest.raises(UsageError, match=r"found none of \[2\]"):
        kind.fit(rows[0], np.minimum(rows[1], 1), kind.default(), 1)


def test_exported_graph_keeps_the_convention_and_the_scores(kind, rows):
    model = kind.fit(*rows, kind.default(), 1)
    graph = model.to_onnx()
    assert [value.name for value in graph.graph.input] == [INPUT]
    assert [value.name for value in graph.graph.output] == [OUTPUT]
    check_parity(graph, model.scores, golden_inputs(rows[0]), tolerance=FLOAT_TOLERANCE)


def test_exported_file_is_small(kind, rows):
    assert kind.fit(*rows, kind.default(), 1).to_onnx().ByteSize() < 300_000


@pytest.mark.parametrize("name", [name for name in NAMES if name != "majority"])
def test_learning_families_beat_the_class_shares(name, rows):
    kind = family(name)
    said = kind.fit(rows[0][:1500], rows[1][:1500], kind.default(), 1).scores(rows[0][1500:])
    shares = np.bincount(rows[1][:1500]) / 1500
    truth = rows[1][1500:]
    assert -np.log(said[np.arange(500), truth]).mean() < -np.log(shares[truth]).mean() - 0.05


def test_unknown_family_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="majority, logistic, xgboost, mlp"):
        family("oracle")
