"""Choosing the smallest file that is not worse: a paired test against the original on held-out rows."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from onnx import ModelProto

from data_contracts.manifest import Compression, Estimate
from models.bootstrap import block_length, estimate
from models.dataset import Dataset
from models.metrics import log_losses, mean
from models.parity import FLOAT_TOLERANCE, run_onnx

METRIC: Final = "log_loss"
MARGIN: Final = 0.005
"""Nats a row, stated before anything is measured; guessing three classes blindly costs 1.1."""
NONE_QUALIFIED_NOTE: Final = "no compressed candidate was proved not inferior: published uncompressed"


class Candidate(NamedTuple):
    """A smaller graph and how it was made."""

    steps: tuple[str, ...]
    model: ModelProto
    tolerance: float = FLOAT_TOLERANCE
    """Parity tolerance its engines are held to."""


class Trial(NamedTuple):
    """A candidate and its paired loss difference to the original, candidate minus original."""

    candidate: Candidate
    size_bytes: int
    difference: Estimate
    not_inferior: bool


def choose(
    original: ModelProto, candidates: Sequence[Candidate], held_out: Dataset, *, seed: int, margin: float = MARGIN
) -> tuple[Candidate, Compression | None, tuple[Trial, ...]]:
    """Return what to publish, the report for its manifest, and every trial.

    A candidate qualifies if the 95 % interval of its mean paired log-loss difference on the held-out rows lies at or
    under `margin`. The smallest that does is chosen, and only if it is smaller than the original; otherwise the
    original is, with a report without steps. No candidates: no report.
    """
    unchanged = Candidate((), original)
    if not candidates:
        return unchanged, None, ()
    losses = log_losses(run_onnx(original, held_out.features), held_out.classes)
    trials = tuple(_try(candidate, losses, held_out, seed, margin) for candidate in candidates)
    whole = original.ByteSize()
    good = [trial for trial in trials if trial.not_inferior and trial.size_bytes < whole]
    if good:
        best = min(good, key=lambda trial: trial.size_bytes)
        return best.candidate, _report(best, whole, best.size_bytes, best.candidate.steps, margin, met=True), trials
    nearest = min(trials, key=lambda trial: np.inf if trial.difference.high is None else trial.difference.high)
    return unchanged, _report(nearest, whole, whole, (), margin, met=False), trials


def _try(candidate: Candidate, losses: np.ndarray, held_out: Dataset, seed: int, margin: float) -> Trial:
    change = log_losses(run_onnx(candidate.model, held_out.features), held_out.classes) - losses
    rows = np.column_stack([change, np.ones(len(change))])
    block = block_length(held_out.event_ns, held_out.horizon_ns)
    difference = estimate(rows, mean, block=block, seed=seed)
    met = difference.high is not None and difference.high <= margin
    return Trial(candidate, candidate.model.ByteSize(), difference, met)


def _report(trial: Trial, whole: int, size: int, steps: tuple[str, ...], margin: float, *, met: bool) -> Compression:
    low, high = trial.difference.low, trial.difference.high
    return Compression(
        original_bytes=whole,
        compressed_bytes=size,
        steps=steps,
        metric=METRIC,
        difference_low=float("nan") if low is None else low,
        difference_high=float("nan") if high is None else high,
        margin=margin,
        not_inferior=met,
    )
