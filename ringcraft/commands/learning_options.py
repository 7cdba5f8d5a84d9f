"""What the commands that learn are asked: one list of options, one request."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from data_contracts.settings import Settings
from ringcraft.commands.label_options import label_of, label_options

OBJECTIVES: Final = {"loss": "loss", "pnl": "net_pnl_bps", "latency": "latency_us", "size": "bytes"}
"""As commands spell them, and as studies do."""
_FAMILIES: Final = ("xgboost", "mlp")


def _several(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for each in given for name in each.split(",")))


def _objectives(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    named = _several(context, option, given) or ("loss",)
    for name in named:
        if name not in OBJECTIVES:
            raise click.BadParameter(f"expected some of {', '.join(OBJECTIVES)}, got {name!r}")
    return tuple(OBJECTIVES[name] for name in named)


_OPTIONS: Final = (
    click.option(
        "--family",
        "--families",
        "families",
        multiple=True,
        callback=_several,
        help="logistic, ridge, xgboost, mlp, lstm, deeplob, binctabl, mlplob; several with commas. "
        "Default: xgboost,mlp.",
    ),
    click.option(
        "--target",
        type=click.Choice(["direction", "move"]),
        default="direction",
        show_default=True,
        help="Learnt where a family can do either: the class, or the expected move in bps.",
    ),
    click.option(
        "--horizon-s",
        type=click.FloatRange(min=0.001),
        default=5.0,
        show_default=True,
        help="Label horizon, event time.",
    ),
    label_options,
    click.option(
        "--min-interval-s", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Between two decisions."
    ),
    click.option("--feature-set", default=None, help="A name, lead_lag_v1=LEADER, or a fitted set's file."),
    click.option(
        "--leader", type=click.Path(path_type=Path), default=None, help="Source of the leader; default: SOURCE."
    ),
    click.option("--folds", type=click.IntRange(min=2), default=4, show_default=True, help="Of the walk-forward."),
    click.option(
        "--folds-by",
        type=click.Choice(["rows", "day"]),
        default="rows",
        show_default=True,
        help="Where walk-forward folds begin.",
    ),
    click.option(
        "--window",
        type=click.IntRange(3, 128),
        default=None,
        help="Newest vectors that lstm, deeplob, binctabl and mlplob read. Default: 32.",
    ),
    click.option("--trials", type=click.IntRange(min=1), default=10, show_default=True, help="Optuna trials a family."),
    click.option(
        "--objective",
        "--objectives",
        "objectives",
        multiple=True,
        callback=_objectives,
        help="What tuning looks for: loss, pnl, latency, size; of several, with commas, the Pareto front's best by "
        "the first. Default: loss.",
    ),
    click.option(
        "--storage", default=None, metavar="URL", help="Of studies, SQLite or PostgreSQL; default: SQLite under --work."
    ),
    click.option(
        "--tuners", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that tune a family."
    ),
    click.option(
        "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Families learnt at a time."
    ),
    click.option(
        "--runner",
        type=click.Choice(["threads", "dask", "ray"]),
        default="threads",
        show_default=True,
        help="What learns several families at a time.",
    ),
    click.option("--cluster", default=None, metavar="ADDRESS", help="Of Dask or Ray; default: one on this machine."),
    click.option("--seed", type=int, default=1, show_default=True),
    click.option(
        "--seeds",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="Walk-forward and fit are repeated with so many; the spread is reported, the first one published.",
    ),
    click.option(
        "--work", type=click.Path(path_type=Path), default=Path("build/train"), show_default=True, help="Working files."
    ),
    click.option("--fast", is_flag=True, help="Fewer rows and trials: a quick look."),
)
_NAMES: Final = (
    *("families", "target", "horizon_s", "label_kind", "label_bps", "label_spreads", "horizon_events"),
    *(
        "min_interval_s",
        "feature_set",
        "leader",
        "folds",
        "folds_by",
        "window",
        "trials",
        "objectives",
        "storage",
        "tuners",
        "workers",
    ),
    *("runner", "cluster", "seed", "seeds", "work", "fast"),
)


def learning_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of learning; the command is given them as one mapping, `asked`."""

    @functools.wraps(function)
    def gathered(**given: Any) -> None:  # noqa: ANN401  click's
        asked = {name: given.pop(name) for name in _NAMES}
        function(**given, asked=asked)

    command: Callable[..., None] = gathered
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def request_of(
    asked: dict[str, Any],
    settings: Settings,
    *,
    model: str,
    source: Path,
    format_name: str | None,
    instrument: str | None,
) -> Any:  # noqa: ANN401  a TrainRequest; help needs not load it
    """Return the request that the options mean."""
    from pipelines.request import TrainRequest

    label = label_of(asked["label_kind"], asked["label_bps"], asked["label_spreads"], asked["horizon_events"])
    same = (
        "target",
        "folds",
        "folds_by",
        "feature_set",
        "trials",
        "objectives",
        "storage",
        "tuners",
        "workers",
        "runner",
        "cluster",
        "seed",
        "seeds",
    )
    request = TrainRequest(
        model=model,
        source=str(source.resolve()),
        format=format_name,
        instrument=instrument,
        families=asked["families"] or _FAMILIES,
        horizon_ns=round(asked["horizon_s"] * 1e9),
        label=label,
        min_interval_ns=round(asked["min_interval_s"] * 1e9),
        leader=str(asked["leader"].resolve()) if asked["leader"] else None,
        mlflow_uri=settings.mlflow.uri,
        experiment=settings.mlflow.experiment,
        sequence=asked["window"],
        work=str(asked["work"]),
        **{name: asked[name] for name in same},
    )
    return request.faster() if asked["fast"] else request
