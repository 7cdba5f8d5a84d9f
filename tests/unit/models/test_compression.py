"""Choosing among smaller forms: what qualifies, in which order it is asked, what is reported."""

import dataclasses

import numpy as np
import pytest
from onnx import ModelProto
from planted_data import planted

from data_contracts.manifest import Estimate, Latency
from models.compression import Candidate, Trial, choose, cut, in_order
from models.compression_front import pareto, report
from models.families import family


@pytest.fixture(scope="module")
def rows():
    return planted(rows=4000)


def linear(rows, strength=0.01):
    kind = family("logistic")
    return kind.fit(rows.features, rows.classes, type(kind.default())(strength=strength), 1).to_onnx()


def padded(model, extra_bytes):
    bigger = ModelProto()
    bigger.CopyFrom(model)
    bigger.doc_string = "x" * extra_bytes
    return bigger


def trial(size, value, half_width):
    return Trial(
        Candidate((), ModelProto()), size, Estimate(value=value, low=value - half_width, high=value + half_width)
    )


def test_no_outcome_is_in_both_parts_of_the_held_out_rows(rows):
    choosing, confirming = cut(rows)
    assert len(choosing) == pytest.approx(0.4 * len(rows), abs=1)
    assert confirming.event_ns[0] > choosing.event_ns[-1] + 2 * rows.horizon_ns
    assert len(choosing) + len(confirming) >= len(rows) - 4


def test_smallest_confirmed_candidate_is_chosen_and_reported(rows):
    original = padded(linear(rows), 8000)
    same, blind = linear(rows), blind_model(rows)
    good = [Candidate((f"padded by {extra}",), padded(same, extra)) for extra in (900, 100, 400)]
    choice = choose(original, [*good, Candidate(("forgot everything",), blind)], rows, seed=1)
    assert choice.best is not None
    assert choice.best.candidate.steps == ("padded by 100",)
    assert choice.trials[3].confirmed is None  # too far off on the first part to be asked on the second
    quick = Latency(p50_us=1.0, p99_us=2.0, machine="any")
    told = report(original.ByteSize(), quick, choice, [quick] * 4)
    assert told.steps == ("padded by 100",)
    assert told.not_inferior
    assert told.compressed_bytes == choice.best.size_bytes <= 0.25 * told.original_bytes
    assert told.difference_low <= 0 <= told.difference_high <= told.margin
    assert [point.published for point in told.front].count(True) == 1
    assert told.confirmed_from_ns == cut(rows)[1].event_ns[0]


def blind_model(rows):
    kind = family("majority")
    return kind.fit(rows.features, rows.classes, kind.default(), 1).to_onnx()


def test_ruined_candidate_is_not_chosen_and_the_report_says_so(rows):
    original = padded(linear(rows), 8000)
    choice = choose(original, [Candidate(("forgot everything",), blind_model(rows))], rows, seed=1)
    assert choice.best is None
    quick = Latency(p50_us=1.0, p99_us=2.0, machine="any")
    told = report(original.ByteSize(), quick, choice, [quick])
    assert told.steps == ()
    assert not told.not_inferior
    assert told.compressed_bytes == told.original_bytes
    assert told.difference_low > told.margin


def test_equally_good_but_hardly_smaller_does_not_qualify(rows):
    original = linear(rows)
    choice = choose(padded(original, 100), [Candidate(("shaved",), original)], rows, seed=1)
    assert choice.best is None
    assert choice.trials[0].compared.value == 0


def test_a_failed_confirmation_ends_the_sequence(rows):
    features = rows.features.copy()
    features[: round(0.4 * len(rows)), 1] = 0  # says nothing until the confirming rows
    data = dataclasses.replace(rows, features=features)
    kind = family("logistic")
    model = kind.fit(features, rows.classes, kind.default(), 1)
    ((weights, bias),) = model.layers
    broken = weights.copy()
    broken[1] += [3, 0, -3]
    safest, turns_bad, timid = (
        dataclasses.replace(model, layers=((changed, bias),)).to_onnx() for changed in (weights, broken, 0.97 * weights)
    )
    candidates = [
        Candidate(("safest",), padded(safest, 2000)),
        Candidate(("turns bad",), padded(turns_bad, 1000)),
        Candidate(("timid",), timid),
    ]
    original = padded(model.to_onnx(), 20_000)
    choice = choose(original, candidates, data, seed=1)
    assert choice.best.candidate.steps == ("safest",)
    assert choice.trials[1].confirmed.low > 0.005
    assert choice.trials[2].confirmed is None
    without = choose(original, [candidates[0], candidates[2]], data, seed=1)
    assert without.best.candidate.steps == ("timid",)


def test_order_is_safest_first_and_ever_smaller():
    trials = [
        trial(100, 0.0, 0.001),
        trial(50, 0.001, 0.002),
        trial(60, 0.002, 0.002),  # beaten by the one before: bigger and less safe
        trial(10, -0.02, 0.02),  # a large gain is no safety
        trial(5, 0.006, 0.001),  # off by more than the margin
        trial(300, 0.0, 0.0),  # not small enough
    ]
    assert in_order(trials, most_bytes=250, margin=0.005) == [0, 1, 3]


def test_not_a_number_is_never_asked():
    lost = Trial(Candidate((), ModelProto()), 1, Estimate(value=None))
    assert in_order([lost], most_bytes=10, margin=1.0) == []


def test_pareto_front_keeps_what_nothing_beats():
    points = [(10.0, 0.0, 5.0), (5.0, 0.1, 5.0), (5.0, 0.2, 6.0), (7.0, 0.1, 4.0)]
    assert pareto(points) == [0, 1, 3]
    rng = np.random.default_rng(0)
    many = [tuple(row) for row in rng.integers(0, 6, size=(60, 3)).astype(float)]
    front = pareto(many)
    for index, point in enumerate(many):
        dominated = any(all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in many)
        assert (index in front) != dominated


def test_without_candidates_nothing_is_chosen(rows):
    assert choose(linear(rows), [], rows, seed=1).best is None
