"""Files to and from hftbacktest: decisions and events there, what each decision came to back."""

import os
import subprocess
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from data_contracts.errors import ModelError, UsageError
from data_contracts.manifest import Estimate
from data_contracts.recording import Recording
from models.backtest.events import local_times, replayed
from models.bootstrap import block_length, estimates
from models.metrics import mean
from models.trading import max_drawdown_bps

RUNNER: Final = Path(__file__).with_name("runner.py")
TAKEN, MISSED, BUSY, NO_BOOK, UNFINISHED = range(5)
_Nanoseconds = Annotated[int, Meta(ge=0)]


class Terms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a decision is traded: one position at a time, in at the touch, out by a market order after `hold_ns`."""

    entry: Literal["take", "join"] = "take"
    """take: a market order; join: a limit order at the end of the queue at the own touch, that never takes."""
    hold_ns: Annotated[int, Meta(gt=0)]
    """From decision to the order that leaves."""
    patience_ns: _Nanoseconds = 1_000_000_000
    """How long a limit order waits before it is cancelled; missed then."""
    feed_latency_ns: _Nanoseconds = 1_000_000
    """Of the quickest event; the others' by the recording."""
    order_latency_ns: _Nanoseconds = 1_000_000
    response_latency_ns: _Nanoseconds = 1_000_000
    maker_fee_bps: float = 0.0
    taker_fee_bps: float = 0.0
    queue: Literal["risk_averse", "probability"] = "risk_averse"
    """risk_averse: only trades at the price move the order up; probability: cancellations before it too."""
    lots: Annotated[int, Meta(ge=1)] = 1


class Backtest(Struct, frozen=True, kw_only=True):
    """What came of all decisions."""

    decisions: int
    traded: int
    missed: int
    busy: int
    """Not acted on: the position before was still open."""
    unfinished: int
    """Without a book, or the data ended first."""
    net_bps: Estimate
    """A trade, in and out, after fees."""
    total_bps: float
    max_drawdown_bps: float
    median_wait_ms: float | None
    """From decision to the entry being known."""
    program: str


class Outcome(NamedTuple):
    """Of n decisions, what became of each and what it earned in bps of mid; NaN where it did not trade."""

    status: NDArray[np.int64]
    pnl_bps: NDArray[np.float64]


def run(
    recording: Recording,
    rows: NDArray[np.intp],
    sides: NDArray[np.int8],
    terms: Terms,
    *,
    python: Path,
    work: Path,
    seed: int = 1,
) -> tuple[Backtest, Outcome]:
    """Return what decisions at events `rows` (n,), +1 to buy and -1 to sell, come to against the recorded depth.

    Args:
        recording: with levels.
        rows: positions of the events decided on, ascending.
        sides: (n,).
        terms: of trading.
        python: interpreter of hftbacktest's environment.
        work: folder for the files.
        seed: of the interval's resampling.

    Raises:
        UsageError: no decision, or no levels.
        ModelError: hftbacktest failed; says how.
    """
    if not len(rows):
        raise UsageError("backtest: expected at least one decision, got none")
    work.mkdir(parents=True, exist_ok=True)
    np.savez(work / "events.npz", data=replayed(recording, feed_latency_ns=terms.feed_latency_ns))
    at_ns = local_times(recording, feed_latency_ns=terms.feed_latency_ns)[rows]
    np.savez(work / "decisions.npz", at_ns=at_ns, sides=sides.astype(np.int64))
    lot = float(recording.instrument.lot_size)
    asked = msgspec.to_builtins(terms) | {
        "events": str(work / "events.npz"),
        "decisions": str(work / "decisions.npz"),
        "trades": str(work / "trades.npz"),
        "answer": str(work / "answer.json"),
        "passive": terms.entry == "join",
        "quantity": terms.lots * lot,
        "tick_size": float(recording.instrument.tick_size),
        "lot_size": lot,
    }
    (work / "request.json").write_bytes(msgspec.json.encode(asked))
    command = [str(python), str(RUNNER), str(work / "request.json")]
    compiled = {"NUMBA_CACHE_DIR": str(python.parents[1] / "numba")}  # or it is compiled anew each time
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | compiled)
    if done.returncode:
        said = (done.stderr.strip() or "no message").splitlines()[-1]
        raise ModelError(f"hftbacktest ended with {done.returncode}: {said}")
    with np.load(work / "trades.npz") as trades:
        outcome, waited_ns = Outcome(trades["status"], trades["pnl_bps"]), trades["waited_ns"]
    answer = msgspec.json.decode((work / "answer.json").read_bytes())
    return _summary(outcome, at_ns, terms, waited_ns, answer, seed), outcome


def _summary(
    outcome: Outcome,
    at_ns: NDArray[np.int64],
    terms: Terms,
    waited_ns: NDArray[np.int64],
    answer: dict[str, str],
    seed: int,
) -> Backtest:
    traded = outcome.status == TAKEN
    earned = outcome.pnl_bps[traded]
    net = Estimate(value=None)
    if len(earned):
        block = block_length(at_ns[traded], terms.hold_ns)
        net = estimates({"net": (np.column_stack([earned, np.ones(len(earned))]), mean)}, block=block, seed=seed)["net"]
    return Backtest(
        decisions=len(at_ns),
        traded=int(traded.sum()),
        missed=int((outcome.status == MISSED).sum()),
        busy=int((outcome.status == BUSY).sum()),
        unfinished=int(np.isin(outcome.status, (NO_BOOK, UNFINISHED)).sum()),
        net_bps=net,
        total_bps=float(earned.sum()),
        max_drawdown_bps=max_drawdown_bps(earned),
        median_wait_ms=float(np.median(waited_ns[traded])) / 1e6 if len(earned) else None,
        program=f"hftbacktest {answer['hftbacktest']}, numpy {answer['numpy']}",
    )
