"""Fitting one configuration, and choosing its threshold from scores no fold has learnt from."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from data_contracts.manifest import Estimate
from models.baselines import BASELINES, fit_baseline
from models.dataset import Dataset
from models.evaluation import evaluate
from models.families import Family, Fitted
from models.families.port import Target
from models.fitting import class_cut, fit_on
from models.metrics import Scores
from models.trading import choose_threshold
from pipelines.steps.dataset import Prepared


@dataclass(frozen=True)
class FittedFamily:
    """A model on all rows learnt from, its threshold, and how its configuration did out of fold."""

    family: str
    config: Any
    model: Fitted
    threshold: float
    cut: float
    """Expected move in bps beyond which a class is said; 0 where classes were learnt."""
    walk_forward: dict[str, Estimate]
    notes: tuple[str, ...]


def fit(
    family: Family[Any], config: object, prepared: Prepared, *, seed: int, target: Target = "direction"
) -> FittedFamily:
    """Return the family fitted on every row that may be learnt from."""
    scores, tested = out_of_fold(family, config, prepared, seed=seed, target=target)
    threshold, note = choose_threshold(scores, tested)
    cut = class_cut(scores, tested)
    return FittedFamily(
        family=family.name,
        config=config,
        model=fit_on(family, prepared.learn, config, seed, target),
        threshold=threshold,
        cut=cut,
        walk_forward=evaluate(scores, tested, threshold=threshold, seed=seed, cut=cut),
        notes=() if note is None else (note,),
    )


def out_of_fold(
    family: Family[Any], config: object, prepared: Prepared, *, seed: int, target: Target = "direction"
) -> tuple[Scores, Dataset]:
    """Return the folds' test scores, each from a model of earlier rows only, and the rows they belong to."""
    scores, rows = [], prepared.learn
    for fold in prepared.folds:
        model = fit_on(family, rows.rows(fold.train), config, seed, target)
        scores.append(model.scores(rows.features[fold.test]))
    return np.concatenate(scores), rows.rows(np.concatenate([fold.test for fold in prepared.folds]))


def baselines(prepared: Prepared, *, seed: int) -> dict[str, dict[str, Estimate]]:
    """Return every baseline's metrics on the held-out rows, each with a threshold chosen out of fold like any other."""
    return {name: _baseline(name, prepared, seed) for name in BASELINES}


def _baseline(name: str, prepared: Prepared, seed: int) -> dict[str, Estimate]:
    scores, rows = [], prepared.learn
    for fold in prepared.folds:
        made = fit_baseline(name, rows.rows(fold.train), seed=seed)
        scores.append(made.scores(rows.features[fold.test]))
    tested = rows.rows(np.concatenate([fold.test for fold in prepared.folds]))
    threshold, _ = choose_threshold(np.concatenate(scores), tested)
    made = fit_baseline(name, rows, seed=seed)
    held_out = prepared.held_out
    return evaluate(made.scores(held_out.features), held_out, threshold=threshold, seed=seed, cut=made.cut)
