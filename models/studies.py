"""Studies of one instrument's days under several labels, with everything that was tried counted together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import Struct

from data_contracts.manifest import DataRange
from data_contracts.recording import Recording
from market_data.feature_sets import complete, default_feature_set, feature_set_of
from models.choice import choose
from models.dataset import build_dataset, range_of
from models.families import family
from models.families.port import Target
from models.folds import walk_forward_days
from models.labels import LabelConfig
from models.study import Study, run_study

_SECOND_NS = 1_000_000_000
Labels = Sequence[tuple[LabelConfig, float]]
"""A label and its horizon in seconds, which is not read where the label's horizon is in events."""


class Setting(Struct, frozen=True, kw_only=True):
    """What all studies of a page have in common."""

    command: str
    """As it was typed."""
    families: tuple[str, ...]
    seeds: tuple[int, ...]
    first_days: int
    """Learnt from and tuned on, never tested."""
    latency_ms: float
    """From decision to entry."""
    interval_s: float
    """Between two decisions, at least."""
    tuning_trials: int
    min_day_rows: int
    """Days with fewer are not tested."""
    feature_set: str | None = None
    target: Target = "direction"
    """What families that can learn either are taught: the class, or the move of mid in bps."""


@dataclass(frozen=True)
class Section:
    """One instrument under one label."""

    instrument: str
    title: str
    ranges: tuple[DataRange, ...]
    study: Study
    fee_bps: float
    embargo_s: float
    configurations: dict[str, str]
    """By family: what was chosen on the first days."""


def make_sections(
    days: Sequence[Recording], labels: Labels, setting: Setting, on_step: Callable[[str], None]
) -> Iterator[Section]:
    """Yield a section a label as it is done, of recordings of one instrument, oldest first.

    Raises:
        UsageError: too few days or rows.
        ModelError: a feature looks ahead.
    """
    features = complete(feature_set_of(setting.feature_set)) if setting.feature_set else default_feature_set(days)
    runs = len(labels) * len(setting.families)
    tried = runs * setting.tuning_trials + (runs - len(setting.families)) * len(setting.seeds)
    for label, horizon_s in labels:
        title = _title(label, horizon_s)
        on_step(f"{title}: rows")
        rows, report = build_dataset(
            days,
            features,
            horizon_ns=round(horizon_s * _SECOND_NS),
            entry_latency_ns=round(setting.latency_ms * 1e6),
            min_interval_ns=round(setting.interval_s * _SECOND_NS),
            label=label,
            window=max(family(name).window for name in setting.families),
        )
        embargo_ns = max(rows.horizon_ns, 60 * _SECOND_NS)
        folds = walk_forward_days(
            rows.event_ns,
            first_days=setting.first_days,
            end_ns=rows.end_ns,
            embargo_ns=embargo_ns,
            min_rows=setting.min_day_rows,
        )
        chosen = {}
        for name in setting.families:
            on_step(f"{title}: tunes {name}")
            first = rows.rows(folds[0].train)
            chosen[name] = choose(
                name, first, trials=setting.tuning_trials, seed=setting.seeds[0], target=setting.target
            ).config
        study = run_study(
            rows,
            report,
            folds,
            families=chosen,
            seeds=setting.seeds,
            trials=tried,
            target=setting.target,
            on_step=_named(title, on_step),
        )
        yield Section(
            instrument=days[0].instrument.symbol,
            title=title,
            ranges=tuple(range_of(day) for day in days),
            study=study,
            fee_bps=days[0].instrument.fee_bps,
            embargo_s=embargo_ns / 1e9,
            configurations={name: str(config) for name, config in chosen.items()},
        )


def _named(title: str, on_step: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: on_step(f"{title}: {text}")


def _title(label: LabelConfig, horizon_s: float) -> str:
    if label.horizon_events is None:
        return f"{label.kind} {horizon_s:g} s"
    return f"{label.kind} {label.horizon_events} event{'s' if label.horizon_events > 1 else ''}"
