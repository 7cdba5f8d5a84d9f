"""Choosing a family's configuration by its loss out of fold."""

from typing import Any, NamedTuple

import numpy as np
import optuna

from models.dataset import Dataset
from models.families import Family
from models.families.port import Target
from models.fitting import fit_on, losses
from models.folds import Fold
from pipelines.steps.dataset import Prepared


class Tuned(NamedTuple):
    """The best configuration, its mean walk-forward loss, and every trial as a row."""

    config: Any
    loss: float
    trials: tuple[dict[str, Any], ...]


def tune(family: Family[Any], prepared: Prepared, *, trials: int, seed: int, target: Target = "direction") -> Tuned:
    """Return the configuration with the lowest mean loss over the walk-forward folds.

    The family's default is the first to be tried, so that tuning never does worse than not tuning. A trial whose
    folds so far are worse than the median of its predecessors is given up.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(3, trials // 3)),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
    )
    default = family.default()
    study.enqueue_trial({name: getattr(default, name) for name in default.__struct_fields__})

    def objective(trial: optuna.Trial) -> float:
        config, found = family.suggest(trial), list[float]()
        trial.set_user_attr("config", config)
        for step, fold in enumerate(prepared.folds):
            found.append(_fold_loss(family, config, prepared.learn, fold, seed, target))
            trial.report(float(np.mean(found)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(found))

    study.optimize(objective, n_trials=trials)
    return Tuned(study.best_trial.user_attrs["config"], study.best_value, tuple(_row(t) for t in study.trials))


def _fold_loss(family: Family[Any], config: object, rows: Dataset, fold: Fold, seed: int, target: Target) -> float:
    test = rows.rows(fold.test)
    model = fit_on(family, rows.rows(fold.train), config, seed, target)
    return float(losses(model.scores(test.features), test).mean())


def _row(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    seconds = trial.duration.total_seconds() if trial.duration else None
    loss = trial.value if trial.value is not None else trial.intermediate_values.get(0)
    return {"trial": trial.number, "state": trial.state.name, "loss": loss, "seconds": seconds, **trial.params}
