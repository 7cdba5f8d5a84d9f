"""Versions that say moves become smaller, too: the margin is a share of what expecting no move costs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator
from planted_data import planted

from models.compress_nets import net_candidates
from models.compress_trees import tree_candidates
from models.compress_windows import window_candidates
from models.compression import MOVE_MARGIN_SHARE, MOVE_METRIC, TARGET_SHARE, choose, margin_of
from models.families import family
from models.families.lstm import LstmConfig
from models.families.mlp import MlpConfig
from models.families.xgboost import XgboostConfig
from models.onnx_graph import INPUT
from models.parity import Floats, golden_inputs, run_onnx
from models.tree_graph import pack, read_forest
from native._native import load_kernel

ROWS = planted(rows=3000)
FOREST = XgboostConfig(trees=40, depth=4, learning_rate=0.15, min_child_weight=1.0, l2=1.0)
LEARN, HELD_OUT = ROWS.rows(slice(0, 1800)), ROWS.rows(slice(1803, None))


def kernel_of(model: ModelProto, folder: Path) -> Callable[[Floats], Floats]:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return load_kernel(str(path)).predict


def test_margin_of_moves_is_stated_from_the_rows_learnt_from() -> None:
    margin = margin_of(LEARN, outputs=1)
    assert margin == (MOVE_METRIC, pytest.approx(MOVE_MARGIN_SHARE * np.mean(LEARN.mid_move_bps**2)))
    assert margin_of(LEARN, outputs=3) == ("log_loss", 0.005)


def test_perceptron_of_moves_is_published_four_times_smaller() -> None:
    config = MlpConfig(epochs=6)
    model = family("mlp").fit(LEARN.features, LEARN.mid_move_bps, config, 1)
    original = model.to_onnx()
    made = net_candidates(model, LEARN, config, 1)
    margin = margin_of(LEARN, outputs=1)
    choice = choose(original, made, HELD_OUT, seed=1, margin=margin.value)
    assert choice.best is not None
    assert choice.best.size_bytes <= TARGET_SHARE * original.ByteSize()
    assert choice.best.confirmed is not None
    assert choice.best.confirmed.high is not None
    assert choice.best.confirmed.high <= margin.value
    assert run_onnx(choice.best.candidate.model, HELD_OUT.features).shape == (len(HELD_OUT), 1)


def test_packed_forest_of_moves_is_the_same_function_in_every_engine(tmp_path: Path) -> None:
    model = family("xgboost").fit(LEARN.features, LEARN.mid_move_bps, FOREST, 1)
    original = model.to_onnx()
    packed = pack(read_forest(original))
    inputs = np.vstack([LEARN.features, golden_inputs(LEARN.features)])
    said = run_onnx(original, inputs)
    np.testing.assert_allclose(run_onnx(packed, inputs), said, atol=1e-5)
    np.testing.assert_allclose(ReferenceEvaluator(packed).run(None, {INPUT: inputs})[0], said, atol=1e-5)
    np.testing.assert_allclose(kernel_of(packed, tmp_path)(inputs), said, atol=1e-5)
    assert packed.ByteSize() < 0.5 * original.ByteSize()


def test_forest_of_moves_is_published_four_times_smaller() -> None:
    model = family("xgboost").fit(LEARN.features, LEARN.mid_move_bps, FOREST, 1)
    original, margin = model.to_onnx(), margin_of(LEARN, outputs=1)
    made = tree_candidates(model, LEARN, FOREST, 1)
    pruned = [one.steps[0] for one in made if one.steps[0].startswith("splits")]
    assert pruned[0] == "splits that gain under 2 mean squares of the moves pruned"
    assert len({one.model.ByteSize() for one in made}) == len(made)
    choice = choose(original, made, HELD_OUT, seed=1, margin=margin.value)
    assert choice.best is not None
    assert choice.best.size_bytes <= TARGET_SHARE * original.ByteSize()
    assert choice.best.confirmed is not None
    assert choice.best.confirmed.high is not None
    assert choice.best.confirmed.high <= margin.value


def test_students_of_a_net_over_windows_say_bps_as_it_does() -> None:
    config = LstmConfig(hidden=32, epochs=5, batch_rows=32)
    learn, test = (part.rows(slice(40, 1000)).seen_through(8) for part in (LEARN, HELD_OUT))
    model = family("lstm").fit(learn.features, learn.mid_move_bps, config, 1)
    said = model.scores(test.features)[:, 0]
    made = window_candidates(model, family("lstm"), learn, config, 1)
    told = [run_onnx(candidate.model, np.asarray(test.features))[:, 0] for candidate in made]
    assert len(made) >= 3
    for small in told:
        assert np.corrcoef(said, small)[0, 1] > 0.9
        assert small.std() == pytest.approx(said.std(), rel=0.3)
