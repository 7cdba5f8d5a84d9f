"""A walk-forward study by day: every family and seed learns from the days before and is held to the next one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import ModelError
from data_contracts.manifest import Estimate
from models.baselines import BASELINES, fit_baseline
from models.controls import Control, control, with_leak
from models.dataset import Dataset
from models.evaluation import evaluate, sums_a_period
from models.families import family
from models.families.port import Target
from models.findings import findings
from models.fitting import class_cut, fit_on
from models.folds import Fold
from models.labels import LabelReport
from models.leakage import refuse_leaks
from models.metrics import Scores
from models.sharpe import sharpe_ratio
from models.trading import choose_threshold

CONTROL_FAMILY = "logistic"
Config = Any
Fit = Callable[[Dataset], Callable[[NDArray[np.float32]], Scores]]
Metrics = dict[str, Estimate]


class Walked(NamedTuple):
    """Scores of the tested rows, each by a model of earlier days; thresholds and cut each chosen on earlier days."""

    scores: Scores
    rows: Dataset
    threshold: float
    cut: float


@dataclass(frozen=True)
class Result:
    """One family or baseline over all tested days; intervals are the hull of the seeds' intervals."""

    name: str
    metrics: Metrics
    by_seed: tuple[Metrics, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """What came of one instrument and one label."""

    labels: LabelReport
    tested: Dataset
    results: tuple[Result, ...]
    baselines: tuple[Result, ...]
    control: Control
    """What the logistic family finds on the same rows with labels shuffled."""
    leak_caught: bool
    trials: int


def walk(rows: Dataset, folds: tuple[Fold, ...], fit: Fit) -> Walked:
    """Return out-of-fold scores of every fold after the first; threshold and cut are chosen on the first fold alone.

    The first fold's test rows come before everything that is reported: nothing else is seen by what is chosen.
    """
    said = [fit(rows.rows(fold.train))(rows.features[fold.test]) for fold in folds]
    first = rows.rows(folds[0].test)
    threshold, _ = choose_threshold(said[0], first)
    tested = np.concatenate([fold.test for fold in folds[1:]])
    return Walked(np.concatenate(said[1:]), rows.rows(tested), threshold, class_cut(said[0], first))


def run_study(
    rows: Dataset,
    labels: LabelReport,
    folds: tuple[Fold, ...],
    *,
    families: dict[str, Config],
    seeds: tuple[int, ...],
    trials: int,
    target: Target = "direction",
    on_step: Callable[[str], None] = lambda _: None,
) -> Study:
    """Return every family's and baseline's figures on the tested days, with controls.

    Args:
        rows: all decisions, oldest first; as far back as the longest window of the families.
        labels: what they look like.
        folds: two at least; the first serves to choose thresholds.
        families: configurations by family, chosen without the folds' test rows.
        seeds: each family learns once with each.
        trials: configurations tried before this study, tuning included; what this study itself runs is added.
        target: what a family that can learn either is taught: the class, or the move itself.
        on_step: told what is being fitted.
    """
    walked: dict[str, list[Walked]] = {}
    for name, config in families.items():
        for seed in seeds:
            on_step(f"{name}, seed {seed}")
            seen = rows.seen_through(family(name).window)
            walked.setdefault(name, []).append(walk(seen, folds, _fit(name, config, seed, target)))
    plain = {}
    for name in BASELINES:
        on_step(f"baseline {name}")
        plain[name] = walk(rows, folds, _fit_baseline(name, seeds[0]))
    on_step("control: shuffled labels")
    plainest = _fit(CONTROL_FAMILY, family(CONTROL_FAMILY).default(), seeds[0])
    untied = control(rows, lambda dealt: walk(dealt, folds, plainest)[:2], seed=seeds[0])
    tried = trials + sum(len(each) for each in walked.values())
    every = [each for several in walked.values() for each in several]
    sharpes = [s for each in every if (s := sharpe_ratio(sums_a_period(each.scores, each.rows, each.threshold)))]

    def figures(each: Walked) -> Metrics:
        return evaluate(
            each.scores,
            each.rows,
            threshold=each.threshold,
            seed=seeds[0],
            trials=tried,
            trial_sharpes=sharpes,
            cut=each.cut,
        )

    baselines = {name: figures(each) for name, each in plain.items()}
    baselines["rule"] |= {"r2": Estimate(value=None)}  # its score is no move in bps
    results = []
    for name, several in walked.items():
        by_seed: tuple[Metrics, ...] = (figures(several[0]),)
        for each in several[1:]:  # a family that has one optimum says the same with every seed
            by_seed += (by_seed[0] if np.array_equal(each.scores, several[0].scores) else figures(each),)
        pooled = hull(by_seed)
        others = {key: value for key, value in baselines.items() if key != name}
        results.append(Result(name, pooled, by_seed, findings(pooled, others, labels)))
    return Study(
        labels=labels,
        tested=plain[BASELINES[0]].rows,
        results=tuple(results),
        baselines=tuple(Result(name, found, (found,), ()) for name, found in baselines.items()),
        control=untied,
        leak_caught=catches_leak(plain[BASELINES[0]].rows),
        trials=tried,
    )


def hull(by_seed: tuple[Metrics, ...]) -> Metrics:
    """Return the mean of the seeds' values between the lowest low and the highest high."""

    def of(name: str) -> Estimate:
        each = [found[name] for found in by_seed]
        values = [one.value for one in each if one.value is not None]
        lows, highs = (
            [one.low for one in each if one.low is not None],
            [one.high for one in each if one.high is not None],
        )
        return Estimate(
            value=float(np.mean(values)) if values else None,
            low=min(lows) if lows else None,
            high=max(highs) if highs else None,
        )

    return {name: of(name) for name in by_seed[0]}


def catches_leak(rows: Dataset) -> bool:
    """Return whether a column made from the future is refused on these rows, and the honest ones are not."""
    refuse_leaks(rows.features, rows.mid_move_bps, rows.names)
    leaked = with_leak(rows)
    try:
        refuse_leaks(leaked.features, leaked.mid_move_bps, leaked.names)
    except ModelError:
        return True
    return False


def _fit(name: str, config: Config, seed: int, target: Target = "direction") -> Fit:
    return lambda rows: fit_on(family(name), rows, config, seed, target).scores


def _fit_baseline(name: str, seed: int) -> Fit:
    return lambda rows: fit_baseline(name, rows, seed=seed).scores
