import numpy as np
import pytest

from data_contracts.errors import ModelError, ParityError
from models.parity import ROWS, compare, golden_inputs


def test_golden_rows_are_finite_and_reach_beyond_what_was_seen():
    features = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    vectors = golden_inputs(features)
    assert vectors.shape == (ROWS, 4)
    assert np.isfinite(vectors).all()
    assert (vectors.max(axis=0) > features.max(axis=0)).all()


@pytest.mark.parametrize("wrong", [0.2, np.nan, np.inf])
def test_difference_or_nan_is_refused_with_its_row(wrong):
    expected = np.full((4, 3), 0.5, dtype=np.float32)
    said = expected.copy()
    said[2, 1] += wrong
    with pytest.raises(ParityError) as caught:
        compare(said, expected, tolerance=0.1)
    assert caught.value.row == 2


def test_other_shape_is_refused():
    with pytest.raises(ModelError, match="shape"):
        compare(np.zeros((4, 1), np.float32), np.zeros((4, 3), np.float32), tolerance=0.1)
