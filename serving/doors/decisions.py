"""Following what a worker decides: each decision lies on a bus in shared memory before it is journalled.

A follower writes nothing: nobody knows of it, and one that is slow loses the oldest decisions, learns how many, and
never holds the worker up.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.journal import RECORD_BYTES, AbstainReason, Arm, RecordType
from native._native import BusReader
from serving import shared_memory
from serving.journal_records import decode_name, record_types, select
from serving.lineup import LINEUP_FILE, STATUS_FILE, Lineup, WorkerStatus, read_whole

_BATCH: Final = 1024
_INSTRUMENT: Final = 1
NO_INSTRUMENT: Final = 0xFFFF_FFFF
"""Of a decision that was asked for without naming an instrument that is fed."""
_FIELDS: Final = ("decision_id", "event_ns", "receive_ns", "answer_ns", "bid_ticks", "ask_ticks", "version", "epoch")
_ARMS: Final = {int(arm): arm.name.lower() for arm in Arm}
_ABSTAINS: Final = {int(one): "" if one == AbstainReason.NONE else one.name.lower() for one in AbstainReason}


class Told(Struct, frozen=True, kw_only=True):
    """A decision as neighbours read it; see Decision in the journal."""

    decision_id: int
    """Counts from 1 without holes, across restarts of the worker."""
    model: str
    instrument: str
    """Empty: the request named none."""
    version: int
    arm: str
    """champion, challenger."""
    action: int
    """+1 buy, 0 flat, -1 sell."""
    abstain: str
    """Why no action may be taken; empty: it may."""
    outputs: tuple[float, ...]
    event_ns: int
    receive_ns: int
    answer_ns: int
    bid_ticks: int
    ask_ticks: int
    epoch: int
    late: bool


class DecisionFeed:
    """What a worker decides from now on, or from the oldest decision that the bus still holds.

    Attributes:
        missed: decisions that were overwritten before they were read.
    """

    def __init__(self, state_dir: Path, *, worker: str = "worker-0", from_oldest: bool = False) -> None:
        """Follow the worker of the tier whose state lies in `state_dir`.

        Raises:
            UsageError: it tells of no decisions: it never ran, or the tier has ended.
        """
        self._path = shared_memory.path(state_dir, shared_memory.decisions(worker))
        self._state_dir, self._worker = state_dir, worker
        self._records: NDArray[np.uint8] = np.zeros((_BATCH, RECORD_BYTES), np.uint8)
        self._names: dict[tuple[int, int], str] = {}
        self.missed = 0
        self._last = 0
        self._open(from_oldest=from_oldest)

    def _open(self, *, from_oldest: bool) -> None:
        try:
            self._bus = BusReader(str(self._path), from_oldest=from_oldest)
        except RuntimeError as error:
            raise UsageError(f"decisions: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @property
    def worker_lives(self) -> bool:
        """Whether a worker writes to the bus."""
        return self._bus.writer_lives

    @property
    def replaced(self) -> bool:
        """Whether the tier was ended, or begun anew: whoever follows on opens another feed."""
        return self._bus.replaced

    def read(self, *, timeout_s: float, spin_s: float = 0.0) -> NDArray[Any]:
        """Return decisions not read yet, oldest first, shape (n,), the journal's DECISION; none where none came.

        Args:
            timeout_s: to wait for the first.
            spin_s: of that, without naps: a core of its own is wise.
        """
        count = self._bus.read_records(self._records, timeout_s=timeout_s, spin_s=spin_s)
        batch = self._records[:count]
        for row in np.flatnonzero(record_types(batch) == RecordType.NAME):
            name = decode_name(batch[row].tobytes())
            self._names[name.kind, name.name_index] = name.name
        decisions = select(batch, RecordType.DECISION)
        self._count_missed(decisions["decision_id"])
        return decisions

    def _count_missed(self, ids: NDArray[np.uint64]) -> None:
        if len(ids):
            # Told by the ids themselves: names lie on the bus too, and are no decisions.
            first = self._last or int(ids[0]) - 1
            self.missed += int(ids[-1]) - first - len(ids)
            self._last = int(ids[-1])

    def told(self, decisions: NDArray[Any]) -> list[Told]:
        """Return decisions with the names of what they are about.

        Whoever follows must keep up with the worker, so that this is by column where it can be: 2 us a decision.
        """
        columns = [decisions[name].tolist() for name in _FIELDS]
        outputs = zip(*(decisions[f"output_{place}"].tolist() for place in range(4)), strict=True)
        coded = [decisions[name].tolist() for name in ("model", "instrument", "arm", "action", "abstain", "late")]
        return [
            Told(
                decision_id=decision_id,
                model=self._name(0, model),
                instrument=self._name(_INSTRUMENT, instrument),
                version=version,
                arm=_ARMS[arm],
                action=action,
                abstain=_ABSTAINS[abstain],
                outputs=tuple([value for value in values if value == value]),  # all but NaN
                event_ns=event_ns,
                receive_ns=receive_ns,
                answer_ns=answer_ns,
                bid_ticks=bid_ticks,
                ask_ticks=ask_ticks,
                epoch=epoch,
                late=bool(late),
            )
            for (decision_id, event_ns, receive_ns, answer_ns, bid_ticks, ask_ticks, version, epoch), values, (
                model, instrument, arm, action, abstain, late,
            ) in zip(zip(*columns, strict=True), outputs, zip(*coded, strict=True), strict=True)
        ]  # fmt: skip

    def _name(self, kind: int, index: int) -> str:
        if (kind, index) == (_INSTRUMENT, NO_INSTRUMENT):
            return ""
        if (kind, index) not in self._names:
            self._learn_names()
        return self._names.get((kind, index), "")

    def _learn_names(self) -> None:
        """Read the names that were told before this began to follow."""
        try:
            lineup = read_whole(self._state_dir / LINEUP_FILE, Lineup)
            status = read_whole(self._state_dir / self._worker / STATUS_FILE, WorkerStatus)
        except msgspec.DecodeError:
            return  # being written by another version of this software: the next look may fare better
        for model in lineup.models if lineup else ():
            self._names.setdefault((0, model.index), model.name)
        for index, instrument in enumerate(status.instruments if status else ()):
            self._names.setdefault((_INSTRUMENT, index), instrument.symbol)
