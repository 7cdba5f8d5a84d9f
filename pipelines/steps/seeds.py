"""What one configuration comes to with other seeds: a figure of one seed may be that seed's luck."""

from typing import Any

import numpy as np

from data_contracts.manifest import Estimate, SeedSpread
from models.evaluation import evaluate
from models.families import Family
from models.families.port import Target
from models.metrics import Scores
from models.seeds import spread_of
from pipelines.steps.dataset import Prepared
from pipelines.steps.fit import FittedFamily, fit

Metrics = dict[str, Estimate]


def over_seeds(
    family: Family[Any],
    fitted: FittedFamily,
    prepared: Prepared,
    *,
    seed: int,
    seeds: int,
    target: Target = "direction",
) -> SeedSpread:
    """Return the spread of every figure over `seed` and the `seeds` - 1 that follow it.

    With each the folds are walked again, a threshold is chosen on their scores, and all rows are learnt from: what
    differs is the seed alone. The first is the one that is published; it was named before anything was measured. A
    family that says the same with the second seed has one optimum and is not asked again.

    Args:
        family: that was fitted.
        fitted: with `seed`.
        prepared: the rows, as the family reads them.
        seed: of `fitted`.
        seeds: how many, 2 or more.
        target: as `fitted` was taught.
    """
    held_out, first = [_on_held_out(fitted, prepared, seed)], _scores(fitted, prepared)
    walked = [fitted.walk_forward]
    for other in range(seed + 1, seed + seeds):
        made = fit(family, fitted.config, prepared, seed=other, target=target)
        if len(held_out) == 1 and np.array_equal(_scores(made, prepared), first):
            break
        held_out.append(_on_held_out(made, prepared, seed))
        walked.append(made.walk_forward)
    return SeedSpread(
        seeds=tuple(range(seed, seed + seeds)),
        published=seed,
        held_out=spread_of(held_out),
        walk_forward=spread_of(walked),
        one_optimum=len(held_out) == 1,
    )


def _scores(made: FittedFamily, prepared: Prepared) -> Scores:
    return made.model.scores(prepared.held_out.features)


def _on_held_out(made: FittedFamily, prepared: Prepared, seed: int) -> Metrics:
    # One seed for every bootstrap: what differs is the model.
    return evaluate(_scores(made, prepared), prepared.held_out, threshold=made.threshold, seed=seed, cut=made.cut)
