"""Choosing a family's configuration by how it does out of fold, in a study that outlives its process."""

import io
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from data_contracts.errors import UsageError
from models.families import Family
from models.families import family as family_of
from models.families.port import Target
from models.fitting import fit_on, losses
from models.latency import measure
from models.metrics import Scores
from models.trading import pnl_bps, strongest
from pipelines.steps.dataset import Prepared

Objective = Literal["loss", "net_pnl_bps", "latency_us", "bytes"]
DIRECTIONS: Final[dict[str, Literal["minimize", "maximize"]]] = {
    "loss": "minimize",
    "net_pnl_bps": "maximize",
    "latency_us": "minimize",
    "bytes": "minimize",
}
DONE: Final = (TrialState.COMPLETE, TrialState.PRUNED)
STRONG_SHARE: Final = 0.1
"""PnL is that of the tenth of the rows with the strongest signal: no threshold is fitted to compare with."""


class Tuned(NamedTuple):
    """The best configuration, its first objective, every trial as a row, and plots of the study by file name."""

    config: Any
    loss: float
    trials: tuple[dict[str, Any], ...]
    plots: dict[str, bytes] = {}  # noqa: RUF012  never written to


class Study(NamedTuple):
    """Where a study is kept and how it is made."""

    name: str = "study"
    storage: str | None = None
    """sqlite:///FILE or postgresql+psycopg://...; None: this process's memory."""
    objectives: tuple[str, ...] = ("loss",)
    workers: int = 1
    """Processes; over one they share the storage."""


def tune(
    family: Family[Any],
    prepared: Prepared,
    *,
    trials: int,
    seed: int,
    target: Target = "direction",
    study: Study | None = None,
) -> Tuned:
    """Return the best configuration over the walk-forward folds.

    The family's default is the first to be tried, so that tuning never does worse than not tuning. With one objective
    a trial whose folds so far are worse than the median of its predecessors is given up. With several the answer is
    that of the Pareto front which is best by the first one. A study that is there already goes on where it was: every
    trial draws from the seed and the number of trials done, so that one worker killed and started again tries the
    same configurations. Several workers do not.

    Raises:
        UsageError: an unknown objective, or several workers without a storage to share.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = study or Study()
    unknown = sorted(set(study.objectives) - set(DIRECTIONS))
    if unknown or not study.objectives:
        raise UsageError(f"tuning: expected objectives among {', '.join(DIRECTIONS)}, got {unknown or 'none'}")
    if study.workers > 1 and study.storage is None:
        raise UsageError("tuning: several workers need a storage to share, got none")
    made = _opened(study)
    _given_up(made)
    default = family.default()
    if not any(t.state in (*DONE, TrialState.WAITING) for t in made.trials):
        made.enqueue_trial({name: getattr(default, name) for name in default.__struct_fields__})
    if study.workers == 1:
        _work(made, family, prepared, trials, seed, target, study.objectives)
    else:
        with ProcessPoolExecutor(study.workers, mp_context=get_context("spawn")) as pool:
            jobs = [
                pool.submit(_work_apart, study, family.name, prepared, trials, seed + 7919 * worker, target)
                for worker in range(study.workers)
            ]
            for job in jobs:
                job.result()
    return _answer(made, family, study.objectives)


def _opened(study: Study) -> optuna.Study:
    if study.storage is not None and study.storage.startswith("sqlite:///"):
        Path(study.storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name=study.name,
        # Optuna fills in what stands in braces, and a folder may have them in its name.
        storage=study.storage and study.storage.replace("{", "{{").replace("}", "}}"),
        load_if_exists=True,
        directions=[DIRECTIONS[name] for name in study.objectives],
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
    )


def _given_up(study: optuna.Study) -> None:
    # What a killed process had begun: nobody else works on a study that is opened here.
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def _work_apart(study: Study, name: str, prepared: Prepared, trials: int, seed: int, target: Target) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    _work(_opened(study), family_of(name), prepared, trials, seed, target, study.objectives)


def _work(
    study: optuna.Study,
    family: Family[Any],
    prepared: Prepared,
    trials: int,
    seed: int,
    target: Target,
    objectives: tuple[str, ...],
) -> None:
    while (done := len(study.get_trials(deepcopy=False, states=DONE))) < trials:
        study.sampler = optuna.samplers.TPESampler(seed=seed + done, n_startup_trials=max(3, trials // 3))
        study.optimize(lambda trial: _asked(trial, family, prepared, seed, target, objectives), n_trials=1)


def _asked(
    trial: optuna.Trial,
    family: Family[Any],
    prepared: Prepared,
    seed: int,
    target: Target,
    objectives: tuple[str, ...],
) -> float | tuple[float, ...]:
    config, rows = family.suggest(trial), prepared.learn
    trial.set_user_attr("config", msgspec.to_builtins(config))
    found_losses, scores, model = list[float](), [], None
    for step, fold in enumerate(prepared.folds):
        test = rows.rows(fold.test)
        model = fit_on(family, rows.rows(fold.train), config, seed, target)
        scores.append(model.scores(test.features))
        found_losses.append(float(losses(scores[-1], test).mean()))
        if len(objectives) == 1:
            trial.report(float(np.mean(found_losses)), step)
            if objectives == ("loss",) and trial.should_prune():
                raise optuna.TrialPruned
    found = {"loss": float(np.mean(found_losses))}
    if "net_pnl_bps" in objectives:
        found["net_pnl_bps"] = _earned(np.concatenate(scores), prepared)
    if model is not None and {"latency_us", "bytes"} & set(objectives):
        found |= _cost(model, prepared)
    values = tuple(found[name] for name in objectives)
    return values if len(values) > 1 else values[0]


def _earned(scores: Scores, prepared: Prepared) -> float:
    tested = prepared.learn.rows(np.concatenate([fold.test for fold in prepared.folds]))
    return float(pnl_bps(tested, strongest(scores, STRONG_SHARE)).mean())


def _cost(model: Any, prepared: Prepared) -> dict[str, float]:  # noqa: ANN401  a fitted model of any family
    import tempfile

    graph = model.to_onnx()
    with tempfile.TemporaryDirectory() as part:
        file = Path(part) / "model.onnx"
        file.write_bytes(graph.SerializeToString())
        latency, _ = measure(file, prepared.learn.features[:200], repeats=200)
    return {"latency_us": latency.p50_us, "bytes": float(graph.ByteSize())}


def _answer(study: optuna.Study, family: Family[Any], objectives: tuple[str, ...]) -> Tuned:
    front = study.best_trials if len(objectives) > 1 else [study.best_trial]
    sign = 1.0 if DIRECTIONS[objectives[0]] == "minimize" else -1.0
    best = min(front, key=lambda trial: (sign * trial.values[0], trial.number))
    config = msgspec.convert(best.user_attrs["config"], type(family.default()))
    numbers = {trial.number for trial in front}
    rows = tuple(_row(trial, objectives, chosen=trial.number in numbers) for trial in study.trials)
    return Tuned(config, best.values[0], rows, _plots(study, objectives))


def _row(trial: FrozenTrial, objectives: tuple[str, ...], *, chosen: bool) -> dict[str, Any]:
    seconds = trial.duration.total_seconds() if trial.duration else None
    values = trial.values or [trial.intermediate_values.get(0)] + [None] * (len(objectives) - 1)
    named = dict(zip(objectives, values, strict=True))
    return {
        "trial": trial.number, "state": trial.state.name, **named, "best": chosen, "seconds": seconds, **trial.params
    }  # fmt: skip


def _plots(study: optuna.Study, objectives: tuple[str, ...]) -> dict[str, bytes]:
    """Return the study's history, or its front, and which parameters matter, as PNG by file name."""
    import warnings

    from matplotlib import pyplot
    from optuna.visualization import matplotlib as drawn

    pictures: dict[str, bytes] = {}
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optuna calls its plots experimental
        kinds: dict[str, Any] = {}
        if len(objectives) == 1:
            kinds["study_history.png"] = lambda: drawn.plot_optimization_history(study)
            kinds["study_intermediate.png"] = lambda: drawn.plot_intermediate_values(study)
        else:
            kinds["study_history.png"] = lambda: drawn.plot_optimization_history(
                study, target=lambda trial: trial.values[0], target_name=objectives[0]
            )
            if len(objectives) < 4:
                kinds["study_front.png"] = lambda: drawn.plot_pareto_front(study, target_names=list(objectives))
        if len(objectives) == 1 and len(complete) >= 4 and len({t.value for t in complete}) > 1:
            kinds["study_importance.png"] = lambda: drawn.plot_param_importances(study)
        for name, draw in kinds.items():
            draw()
            buffer = io.BytesIO()
            pyplot.savefig(buffer, format="png", dpi=80, bbox_inches="tight")
            pyplot.close("all")
            pictures[name] = buffer.getvalue()
    return pictures
