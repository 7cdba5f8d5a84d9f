import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from planted_data import planted

from models.compress_nets import net_candidates, prune_units, quantize
from models.compress_trees import tree_candidates
from models.compression import Candidate, choose
from models.families import family
from models.onnx_graph import INPUT
from models.parity import FLOAT_TOLERANCE, INT8_TOLERANCE, compare, golden_inputs, run_onnx
from models.tree_graph import count_nodes, quantize_leaves


@pytest.fixture(scope="module")
def data():
    return planted(rows=4000)


@pytest.fixture(scope="module")
def learnt(data):
    return data.rows(slice(0, 3000))


@pytest.fixture(scope="module")
def held_out(data):
    return data.rows(slice(3003, None))


def fitted(name, rows):
    kind = family(name)
    return kind.fit(rows.features, rows.classes, kind.default(), 1), kind.default()


@pytest.mark.parametrize(("name", "candidates"), [("xgboost", tree_candidates), ("mlp", net_candidates)])
def test_chosen_file_is_smaller_and_not_inferior_on_held_out_rows(name, candidates, learnt, held_out):
    model, config = fitted(name, learnt)
    original = model.to_onnx()
    best, report, trials = choose(original, candidates(model, learnt, config, 1), held_out, seed=1)
    assert best.steps == report.steps != ()
    assert report.compressed_bytes == best.model.ByteSize() < report.original_bytes == original.ByteSize()
    assert report.not_inferior
    assert report.difference_low <= report.difference_high <= report.margin
    smaller = [trial for trial in trials if trial.size_bytes < report.compressed_bytes]
    assert not any(trial.not_inferior for trial in smaller)


def test_ruined_candidate_is_not_chosen_and_the_original_stays(learnt, held_out):
    model, _ = fitted("logistic", learnt)
    blind = family("majority").fit(learnt.features, learnt.classes, family("majority").default(), 1).to_onnx()
    best, report, _ = choose(model.to_onnx(), [Candidate(("forgot everything",), blind)], held_out, seed=1)
    assert best.steps == report.steps == ()
    assert report.compressed_bytes == report.original_bytes
    assert not report.not_inferior


def test_without_candidates_there_is_no_report(learnt, held_out):
    model, _ = fitted("logistic", learnt)
    assert choose(model.to_onnx(), [], held_out, seed=1)[1] is None


def test_rounded_leaves_fold_splits_and_stay_close(learnt):
    model, _ = fitted("xgboost", learnt)
    original = model.to_onnx()
    coarse = quantize_leaves(original, levels=15)
    assert count_nodes(coarse) < count_nodes(original)
    fine = quantize_leaves(original)
    np.testing.assert_allclose(run_onnx(fine, learnt.features), run_onnx(original, learnt.features), atol=0.02)
    reference = ReferenceEvaluator(coarse).run(None, {INPUT: learnt.features[:50]})[0]
    compare(run_onnx(coarse, learnt.features[:50]), reference, tolerance=FLOAT_TOLERANCE)


def test_pruned_units_are_those_that_say_least(learnt):
    model, _ = fitted("mlp", learnt)
    (first, bias), *rest = model.layers
    dumb = (np.hstack([first, np.zeros((len(first), 1), np.float32)]), np.append(bias, np.float32(0)))
    after, after_bias = rest[0]
    wider = (np.vstack([after, np.ones((1, after.shape[1]), np.float32)]), after_bias)
    padded = type(model)(model.scaling, (dumb, wider, *rest[1:]), model.name)
    kept = prune_units(padded, learnt.features, bias.size / (bias.size + 1))
    np.testing.assert_array_equal(kept.layers[0][0], first)


def test_int8_net_answers_alike_in_two_engines_even_where_every_input_is_extreme(learnt):
    model, _ = fitted("mlp", learnt)
    small = quantize(model.to_onnx(), learnt.features[:500])
    inputs = golden_inputs(learnt.features)
    compare(run_onnx(small, inputs), ReferenceEvaluator(small).run(None, {INPUT: inputs})[0], tolerance=INT8_TOLERANCE)
