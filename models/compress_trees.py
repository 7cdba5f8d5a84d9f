"""Smaller forests: fewer trees, splits pruned by their gain, leaves rounded to a byte's levels."""

import warnings
from collections.abc import Iterator

import xgboost

from models.compression import Candidate
from models.dataset import Dataset
from models.families.xgboost import XgboostConfig, XgboostModel, parameters, training_rows
from models.tree_graph import LEVELS, quantize_leaves, scaled_to_match

GAMMAS = (0.0, 2.0, 5.0, 10.0, 20.0)
"""Least loss reduction a split must have brought to stay; 0 keeps all."""
TREE_SHARES = (1.0, 0.5, 0.25)
MATCHING_ROWS = 2000
"""About so many training rows are scored to match the original."""


def tree_candidates(model: XgboostModel, learnt_from: Dataset, config: XgboostConfig, seed: int) -> list[Candidate]:
    """Return pruned, shortened and rounded forms of `model`; nothing is learnt anew."""
    return list(_candidates(model, learnt_from, config, seed))


def _candidates(model: XgboostModel, learnt_from: Dataset, config: XgboostConfig, seed: int) -> Iterator[Candidate]:
    rows, original = training_rows(learnt_from.features, learnt_from.classes), model.to_onnx()
    some = learnt_from.features[:: max(1, len(learnt_from) // MATCHING_ROWS)]
    rounding = f"leaves rounded to {LEVELS} levels, splits between equal leaves folded"
    for share in TREE_SHARES:
        rounds = max(1, round(share * config.trees))
        shorter = model.booster[:rounds]
        for gamma in GAMMAS:
            steps: tuple[str, ...] = () if share == 1.0 else (f"first {rounds} of {config.trees} boosting rounds kept",)
            pruned = shorter
            if gamma > 0:
                pruned = _pruned(shorter, rows, config, gamma, seed)
                steps += (f"splits that gain under {gamma:g} pruned",)
            graph = XgboostModel(pruned, model.inputs).to_onnx()
            if steps:
                graph, factor = scaled_to_match(graph, original, some)
                steps += (f"leaves scaled by {factor:.2f} to match the original",)
            yield Candidate((*steps, rounding), quantize_leaves(graph))


def _pruned(
    booster: xgboost.Booster, rows: xgboost.DMatrix, config: XgboostConfig, gamma: float, seed: int
) -> xgboost.Booster:
    settings = parameters(config, seed) | {
        "process_type": "update",
        "updater": "prune",
        "refresh_leaf": False,
        "gamma": gamma,
        "verbosity": 0,
    }
    with warnings.catch_warnings():  # the library warns that it does as it is told
        warnings.simplefilter("ignore", UserWarning)
        return xgboost.train(settings, rows, booster.num_boosted_rounds(), xgb_model=booster.copy())
