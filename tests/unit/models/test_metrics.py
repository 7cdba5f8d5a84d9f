import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from models import metrics
from models.bootstrap import block_length, estimate


def sums(rows):
    return rows.sum(axis=0, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_mcc_and_f1_agree_with_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    scores = generator.dirichlet([1, 1, 1], size=60).astype(np.float32)
    classes = generator.integers(0, 3, 60).astype(np.int8)
    cells = sums(metrics.confusion_rows(scores, classes))
    said = scores.argmax(axis=1)
    assert metrics.mcc(cells)[0] == pytest.approx(matthews_corrcoef(classes, said), abs=1e-9)
    assert metrics.f1_macro(cells)[0] == pytest.approx(f1_score(classes, said, labels=[0, 1, 2], average="macro"))


def test_one_class_said_always_has_no_correlation():
    scores = np.tile(np.float32([0.2, 0.6, 0.2]), (9, 1))
    cells = sums(metrics.confusion_rows(scores, np.arange(9, dtype=np.int8) % 3))
    assert metrics.mcc(cells)[0] == 0
    assert metrics.accuracy(cells)[0] == pytest.approx(3 / 9)


def test_log_loss_worked_by_hand():
    scores = np.float32([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    # -ln 0.5 = 0.6931, -ln 0.8 = 0.2231
    assert metrics.log_losses(scores, np.int8([0, 2])) == pytest.approx([0.6931, 0.2231], abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 100), st.floats(-50, 50))
def test_correlation_is_numpys_and_ignores_scale_and_shift(seed, scale, shift):
    left, right = np.random.default_rng(seed).normal(size=(2, 50))
    plain = metrics.correlation(sums(metrics.correlation_rows(left, right)))[0]
    moved = metrics.correlation(sums(metrics.correlation_rows(scale * left + shift, right)))[0]
    assert plain == pytest.approx(np.corrcoef(left, right)[0, 1])
    assert moved == pytest.approx(plain, abs=1e-8)


def test_honest_probabilities_are_calibrated_and_boasting_ones_are_not():
    generator = np.random.default_rng(0)
    said = generator.dirichlet([2, 2, 2], size=20_000).astype(np.float32)
    happened = (said.cumsum(axis=1) > generator.random((20_000, 1))).argmax(axis=1).astype(np.int8)
    boast = said**3 / (said**3).sum(axis=1, keepdims=True)
    assert metrics.calibration_error(said, happened) < 0.01
    assert metrics.calibration_error(boast, happened) > 0.1


def test_interval_of_dependent_rows_is_wider_than_of_independent_ones():
    generator = np.random.default_rng(1)
    shocks = generator.normal(size=4000)
    slow = np.convolve(shocks, np.ones(40) / 40**0.5, mode="same")
    widths = []
    for series in (shocks, slow):
        rows = np.column_stack([series, np.ones(4000)])
        found = estimate(rows, metrics.mean, block=200, seed=1)
        widths.append(found.high - found.low)
    assert widths[1] > 4 * widths[0]  # theory: root 40 = 6.3


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    hits = 0
    for seed in range(100):
        rows = np.column_stack([generator.normal(size=500), np.ones(500)])
        found = estimate(rows, metrics.mean, block=8, seed=seed)
        hits += found.low <= 0 <= found.high
    assert 88 <= hits <= 99


def test_blocks_hold_several_label_windows():
    # A row a second, labels over 10 s: ten windows overlap, five such are 50 rows.
    assert block_length(np.arange(10_000) * 10**9, 10 * 10**9) == 50


def test_nothing_measured_has_no_value():
    assert estimate(np.zeros((0, 2)), metrics.mean, block=1, seed=0).value is None
