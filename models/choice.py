"""Choosing a configuration on rows that come before everything tested."""

from typing import Any, NamedTuple

import numpy as np
import optuna

from models.dataset import Dataset
from models.families import family
from models.families.port import Target
from models.fitting import fit_on, losses
from models.folds import walk_forward


class Choice(NamedTuple):
    """The configuration with the least loss out of fold, and how many were tried."""

    config: Any
    trials: int


def choose(name: str, rows: Dataset, *, trials: int, seed: int, folds: int = 2, target: Target = "direction") -> Choice:
    """Return the best of `trials` configurations by walk-forward loss on `rows` alone, the default among them.

    The loss is the log loss, or the squared error where moves are learnt.
    """
    kind = family(name)
    rows = rows.seen_through(kind.window)
    default = kind.default()
    if trials <= 1 or not default.__struct_fields__:
        return Choice(default, 1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(3, trials // 2)))
    study.enqueue_trial({field: getattr(default, field) for field in default.__struct_fields__})
    made = walk_forward(rows.event_ns, folds=folds, end_ns=rows.end_ns, embargo_ns=rows.horizon_ns)

    def loss(trial: optuna.Trial) -> float:
        config = kind.suggest(trial)
        trial.set_user_attr("config", config)
        found = []
        for fold in made:
            train, test = rows.rows(fold.train), rows.rows(fold.test)
            scores = fit_on(kind, train, config, seed, target).scores(test.features)
            found.append(float(losses(scores, test).mean()))
        return float(np.mean(found))

    study.optimize(loss, n_trials=trials)
    return Choice(study.best_trial.user_attrs["config"], trials)
