"""What a model would have done on events it has not learnt from: the decisions that a backtest trades."""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.manifest import read_manifest
from data_contracts.recording import Recording
from market_data.feature_sets import TOUCH_V1, live_feature_set
from models.dataset import Dataset, build_dataset
from models.families import family
from models.folds import purged
from models.labels import LabelConfig
from models.metrics import signal
from models.trading import actions

MIN_ROWS: Final = 200


class Decisions(NamedTuple):
    """Positions of events, ascending, and +1 or -1; and the rows decided on, with their mark-outs."""

    rows: NDArray[np.intp]
    sides: NDArray[np.int8]
    marked: Dataset
    said: str
    """Who decided, in words."""


def learnt_decisions(
    recording: Recording,
    name: str,
    *,
    horizon_ns: int,
    entry_latency_ns: int,
    min_interval_ns: int,
    learn_share: float,
    act_share: float,
    seed: int,
) -> Decisions:
    """Return what family `name` does on the last part after learning from the first `learn_share` of the rows.

    It acts where its signal is larger than on all but `act_share` of the rows learnt from, by its sign.

    Raises:
        UsageError: too few rows on either side, or a family that cannot learn from them.
    """
    label = LabelConfig()
    rows, _ = build_dataset(
        [recording],
        TOUCH_V1,
        horizon_ns=horizon_ns,
        entry_latency_ns=entry_latency_ns,
        min_interval_ns=min_interval_ns,
        label=label,
    )
    start = round(len(rows) * learn_share)
    learn = rows.rows(purged(rows.event_ns, start, end_ns=rows.end_ns, embargo_ns=horizon_ns))
    rest = rows.rows(slice(start, None))
    if min(len(learn), len(rest)) < MIN_ROWS:
        raise UsageError(
            f"backtest: expected {MIN_ROWS} rows to learn from and to act on, got {len(learn)}, {len(rest)}"
        )
    kind = family(name)
    model = kind.fit(learn.features, learn.classes, kind.default(), seed)
    threshold = float(np.quantile(np.abs(signal(model.scores(learn.features))), 1 - act_share))
    said = f"{name}, learnt from {len(learn):,} rows, acts on its surest {act_share:.0%}"
    return _taken(recording, rest, actions(model.scores(rest.features), threshold), said)


def version_decisions(recording: Recording, folder: Path, *, entry_latency_ns: int, min_interval_ns: int) -> Decisions:
    """Return what the version in `folder` does, by its own rule, on events after those that made it.

    Raises:
        ManifestError: there is no version.
        UsageError: it reads windows, or the recording holds nothing after its data.
    """
    from models.parity import run_onnx

    manifest = read_manifest(folder)
    if manifest.window > 1:
        raise UsageError(f"{folder}: expected a version that reads one vector, got a window of {manifest.window}")
    seen = max(
        (each.last_event_ns for each in manifest.data if each.instrument == recording.instrument.symbol), default=0
    )
    later = recording.part(int(np.searchsorted(recording.events["event_ns"], seen, side="right")), len(recording))
    if not len(later):
        raise UsageError(f"{folder}: expected events after those that made the version, got none")
    rows, _ = build_dataset(
        [later],
        live_feature_set(manifest.feature_set, manifest.features),
        horizon_ns=manifest.label.horizon_ns,
        entry_latency_ns=entry_latency_ns,
        min_interval_ns=min_interval_ns,
    )
    scores = run_onnx((folder / "model.onnx").read_bytes(), rows.features)
    said = f"{manifest.model} ({manifest.family}), by its rule with threshold {manifest.rule.threshold:.4g}"
    return _taken(recording, rows, actions(scores, manifest.rule.threshold), said)


def _taken(recording: Recording, rows: Dataset, taken: NDArray[np.int8], said: str) -> Decisions:
    acted = rows.rows(taken != 0)
    # Of several events at one instant the last: an order sent upon any of them arrives after them all.
    at = np.searchsorted(recording.events["event_ns"], acted.event_ns, side="right") - 1
    return Decisions(at, taken[taken != 0], acted, said)
