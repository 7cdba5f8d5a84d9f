"""Smaller forests: splits pruned by their gain, fewer trees, students taught by the forest itself; all packed."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.compression import Candidate
from models.dataset import Dataset
from models.families.xgboost import XgboostConfig, XgboostModel, parameters, training_rows
from models.fitting import targets_of
from models.parity import run_onnx
from models.tree_graph import Forest, pack, read_forest

GAMMAS = (0.0, 2.0, 5.0, 10.0, 20.0)
"""Least loss reduction a split must have brought to stay, of moves in their mean squares; 0 keeps all."""
STUDENT_SHARES = (1 / 2, 1 / 3, 1 / 5, 1 / 10)
"""Boosting rounds of a student, as a share of its teacher's."""
STUDENT_REACH = 8.0
"""Learning rate times rounds: enough to come as far as the teacher, whose leaves are shrunk already."""
STUDENT_RATE = 0.5
"""Highest learning rate; more overshoots."""
LABEL_SHARE = 0.3
"""Of a student's target; the rest is what the teacher says. A teacher alone passes on its shrinkage, too."""
MATCHING_ROWS = 2000
"""About so many training rows are scored to match the original."""

_Shares = NDArray[np.float64]


def tree_candidates(model: XgboostModel, learnt_from: Dataset, config: XgboostConfig, seed: int) -> list[Candidate]:
    """Return the forest pruned ever harder, and students of ever fewer rounds, leaves rounded and packed."""
    return [*_pruned_forms(model, learnt_from, config, seed), *_students(model, learnt_from, config, seed)]


def _pruned_forms(model: XgboostModel, learnt_from: Dataset, config: XgboostConfig, seed: int) -> Iterator[Candidate]:
    original, moves = model.to_onnx(), model.outputs == 1
    rows = training_rows(learnt_from.features, targets_of(learnt_from, "move" if moves else "direction"))
    unit = float(np.mean(learnt_from.mid_move_bps**2)) if moves else 1.0
    settings = parameters(config, seed, moves=moves)
    some = learnt_from.features[:: max(1, len(learnt_from) // MATCHING_ROWS)]
    for gamma in GAMMAS:
        if gamma == 0:
            yield from _candidate((), read_forest(original))
            continue
        pruned = XgboostModel(_pruned(model.booster, rows, settings, gamma * unit), model.inputs, model.outputs)
        forest = read_forest(pruned.to_onnx())
        if not forest.splits():
            return
        factor = _matching_factor(run_onnx(pack(forest), some), run_onnx(original, some), forest.base)
        gain = f"{gamma:g} mean squares of the moves" if moves else f"{gamma:g}"
        steps = (f"splits that gain under {gain} pruned", f"leaves scaled by {factor:.2f} to match the original")
        yield from _candidate(steps, forest.scaled(factor))


def _students(model: XgboostModel, learnt_from: Dataset, config: XgboostConfig, seed: int) -> Iterator[Candidate]:
    said, moves = model.scores(learnt_from.features).astype(np.float64), model.outputs == 1
    truth = learnt_from.mid_move_bps[:, None] if moves else np.eye(3)[learnt_from.classes]
    wanted = (1 - LABEL_SHARE) * said + LABEL_SHARE * truth
    rows = training_rows(learnt_from.features, targets_of(learnt_from, "move" if moves else "direction"))
    for rounds in sorted({max(1, round(share * config.trees)) for share in STUDENT_SHARES}, reverse=True):
        student, base = (distilled_moves if moves else distilled)(rows, wanted, config, rounds, seed)
        forest = read_forest(XgboostModel(student, model.inputs, model.outputs).to_onnx())
        steps = (f"distilled into {rounds} of {config.trees} boosting rounds",)
        yield from _candidate(steps, Forest(forest.trees, base, forest.inputs))


def distilled(
    rows: xgboost.DMatrix, wanted: _Shares, config: XgboostConfig, rounds: int, seed: int
) -> tuple[xgboost.Booster, tuple[float, ...]]:
    """Return a booster of `rounds` taught the shares `wanted` (n, 3) of n rows, and the base it adds to.

    Source:
        Hinton, Vinyals, Dean (2015), arXiv 1503.02531, with a temperature of 1.
    """
    base = np.log(wanted.mean(axis=0))
    rows.set_base_margin(np.tile(base, (rows.num_row(), 1)).astype(np.float32).ravel())

    def towards_wanted(sums: _Shares, _rows: xgboost.DMatrix) -> tuple[_Shares, _Shares]:
        lifted = np.exp(sums - sums.max(axis=1, keepdims=True))
        shares = lifted / lifted.sum(axis=1, keepdims=True)
        # Twice the diagonal of the second derivative, as the library's own softmax has it.
        return shares - wanted, np.maximum(2 * shares * (1 - shares), 1e-6)

    rate = max(config.learning_rate, min(STUDENT_RATE, STUDENT_REACH / rounds))
    settings = parameters(config, seed) | {"learning_rate": rate, "base_score": 0.0}
    return xgboost.train(settings, rows, rounds, obj=towards_wanted), tuple(base.tolist())


def distilled_moves(
    rows: xgboost.DMatrix, wanted: _Shares, config: XgboostConfig, rounds: int, seed: int
) -> tuple[xgboost.Booster, tuple[float, ...]]:
    """Return a booster of `rounds` taught the moves `wanted` (n, 1) in bps of n rows, and the base it adds to."""
    base = float(wanted.mean())
    rows.set_label(wanted[:, 0] - base)
    rate = max(config.learning_rate, min(STUDENT_RATE, STUDENT_REACH / rounds))
    settings = parameters(config, seed, moves=True) | {"learning_rate": rate, "base_score": 0.0}
    return xgboost.train(settings, rows, rounds), (base,)


def _candidate(steps: tuple[str, ...], forest: Forest) -> Iterator[Candidate]:
    smaller = forest.rounded()
    if smaller.splits():  # a constant would answer the same to everything
        each = "a class" if len(forest.base) > 1 else "in all"
        packing = f"leaves rounded to {forest.levels()} values {each}, splits between equal leaves folded, nodes packed"
        yield Candidate((*steps, packing), pack(smaller))


def _matching_factor(got: NDArray[np.float32], wanted: NDArray[np.float32], base: tuple[float, ...]) -> float:
    """Return the least-squares factor between two forests' sums, from what they say of the same rows.

    A forest that lost splits says too little; one number gives most of it back without learning from labels.
    """
    smaller, original = (_tree_sums(scores, np.array(base)) for scores in (got, wanted))
    return float((original * smaller).sum() / max((smaller * smaller).sum(), 1e-12))


def _tree_sums(scores: NDArray[np.float32], base: NDArray[np.float64]) -> NDArray[np.float64]:
    if scores.shape[1] == 1:  # moves are the sums themselves
        return scores.astype(np.float64) - base
    # Softmax forgets a constant a row: what is left is compared around each row's mean.
    sums = np.log(np.maximum(scores.astype(np.float64), 1e-12)) - base
    centred: NDArray[np.float64] = sums - sums.mean(axis=1, keepdims=True)
    return centred


def _pruned(booster: xgboost.Booster, rows: xgboost.DMatrix, settings: dict[str, Any], gamma: float) -> xgboost.Booster:
    settings = settings | {
        "process_type": "update",
        "updater": "prune",
        "refresh_leaf": False,
        "gamma": gamma,
        "verbosity": 0,
    }
    with warnings.catch_warnings():  # the library warns that it does as it is told
        warnings.simplefilter("ignore", UserWarning)
        return xgboost.train(settings, rows, booster.num_boosted_rounds(), xgb_model=booster.copy())
