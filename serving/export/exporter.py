"""Follows the journal and posted outcomes for one sink, from where it was, each message at least once.

The place is kept once the sink has everything up to it: after a crash some is told again, nothing is left out. Each
sink has a follower and a place of its own, so that one that is away holds up no other; and the tier knows of none.
"""

import os
import threading
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import structlog
from msgspec import Struct

from data_contracts.errors import JournalError, OutcomeStoreUnavailableError, StoreError
from data_contracts.journal import RECORD_BYTES
from market_data.shared_bus import EventBusReader
from serving import shared_memory
from serving.archive.manifest import ARCHIVE, names_before
from serving.archive.segment import Names
from serving.export.events import told_events
from serving.export.sinks import Sink
from serving.export.teller import Teller
from serving.journal import JournalFollower, oldest_record
from serving.outcomes.port import OutcomeStore

log = structlog.get_logger()

FOLDER: Final = "export"
_RECORDS: Final = 20_000
_POLL_S: Final = 0.1
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 10.0
_SETTLE_S: Final = 30.0


class Place(Struct, frozen=True, kw_only=True):
    """Up to where a sink was told everything."""

    record: int
    outcome: int
    models: dict[int, str]
    instruments: dict[int, str]
    """What indices mean there."""


class Exporter:
    """One sink's follower."""

    def __init__(
        self,
        state_dir: Path,
        sink: Sink,
        *,
        outcomes: OutcomeStore | None = None,
        events: EventBusReader | None = None,
        worker: str = "worker-0",
    ) -> None:
        """Go on where the sink was; for the first time, at the oldest record there is.

        Args:
            state_dir: of the tier.
            sink: that is told.
            outcomes: posted ones; None: only the journal is told.
            events: a live feed; told from now on, and what the sink does not take of it is lost to it.
            worker: whose journal.

        Raises:
            StoreError: its place is damaged.
            JournalError: the journal is.
        """
        self.sink, self._outcomes, self._events, self._worker = sink, outcomes, events, worker
        self._state_dir = state_dir
        self._folder = shared_memory.journal_folder(state_dir, worker)
        self._file = state_dir / FOLDER / f"{sink.name}.json"
        self.told = 0
        self._begin()

    def step(self) -> int:
        """Tell what is new, and keep the place; return how many messages that were.

        Raises:
            StoreError: the sink did not take it all; the next step tells it again.
            JournalError: a record is damaged.
            OutcomeStoreUnavailableError: posted outcomes cannot be read just now; the journal was told.
        """
        try:
            batch = self._follower.poll(_RECORDS)
            count = self._tell(batch)
        except Exception:
            self._begin()  # from the place that was kept
            raise
        if self._outcomes is not None:
            count += self._tell_posted(self._outcomes)
        if self._events is not None:
            fresh_events, levels = self._events.read_with_depth(timeout_s=0.0)
            fresh = told_events(self._events.instruments, fresh_events, levels)
            self.sink.tell(fresh)
            count += len(fresh)
        if not count:
            self.sink.idle()
        self.told += count
        return count

    def catch_up(self) -> int:
        """Tell everything that is there; return how many messages that were.

        Raises:
            StoreError: the sink did not take it all; it was told up to the place that is kept.
            JournalError: a record is damaged.
        """
        before, place = self.told, None
        while place != self._place:
            place = self._place
            self.step()
        self.sink.settle(_SETTLE_S)
        return self.told - before

    def run(self, stop: threading.Event) -> None:
        """Tell until `stop`; whatever fails is tried again, less and less often."""
        wait_s = _FIRST_WAIT_S
        while not stop.is_set():
            try:
                if not self.step():
                    stop.wait(_POLL_S)
                wait_s = _FIRST_WAIT_S
            except (StoreError, JournalError, OutcomeStoreUnavailableError, OSError) as error:
                log.warning("export_waits", sink=self.sink.name, error=str(error)[:300], seconds=wait_s)
                stop.wait(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _begin(self) -> None:
        place = self._kept()
        oldest = oldest_record(self._folder)
        if place is None or place.record < oldest:
            if place is not None:
                log.error("export_gap", sink=self.sink.name, records=oldest - place.record)
            place = Place(
                record=oldest,
                outcome=place.outcome if place else 0,
                **msgspec.structs.asdict(_Spelled.before(self._state_dir, self._worker, oldest)),
            )
        self._place = place
        self._teller = Teller(Names(dict(place.models), dict(place.instruments)))
        self._follower = JournalFollower(self._folder, place.record)

    def _tell(self, batch: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> int:
        if not len(batch):
            return 0
        told = self._teller.records(batch)
        if told:
            self.sink.tell(told)
        self._keep(record=self._follower.next_index)
        return len(told)

    def _tell_posted(self, outcomes: OutcomeStore) -> int:
        kept = outcomes.after(self._place.outcome, limit=1_000)
        if kept:
            self.sink.tell(self._teller.posted(kept))
            self._keep(outcome=kept[-1].sequence)
        return len(kept)

    def _keep(self, **change: int) -> None:
        names = self._teller.names
        self._place = msgspec.structs.replace(
            self._place, models=dict(names.models), instruments=dict(names.instruments), **change
        )
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        with part.open("wb") as file:
            file.write(msgspec.json.encode(self._place))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._file)

    def _kept(self) -> Place | None:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Place)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise StoreError(f"{self._file}: {error}; remove it to tell everything again") from None


class _Spelled(Struct, frozen=True):
    models: dict[int, str]
    instruments: dict[int, str]

    @classmethod
    def before(cls, state_dir: Path, worker: str, record: int) -> "_Spelled":
        """Return what indices mean where the oldest record begins."""
        raw = b"".join(names_before(state_dir / ARCHIVE, worker, record))
        teller = Teller(Names())
        teller.records(np.frombuffer(raw, np.uint8).reshape(-1, RECORD_BYTES))
        return cls(dict(teller.names.models), dict(teller.names.instruments))
