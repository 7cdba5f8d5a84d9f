"""From a posted outcome to the fold: kept in the store, then given its place among the journal's records.

Posting runs in the server's threads and touches nothing but the store; the control loop takes what was kept, in
order, so that a slow or absent database holds up no decision and no verdict.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from data_contracts.errors import OutcomeStoreUnavailableError
from data_contracts.outcome import PostedOutcome, Status, StoredOutcome
from serving.outcomes.port import RULES, Answer, Kept, OutcomeStore
from serving.outcomes.taken import TakenLog

log = structlog.get_logger()

_RETRY_S: Final = 1.0
_CHUNK: Final = 10_000


class Intake:
    """Takes outcomes in, each once, whatever dies when."""

    def __init__(
        self,
        store: OutcomeStore,
        taken: TakenLog,
        newest_decision: Callable[[], int],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Stand between a store and the control loop.

        Args:
            store: where outcomes are kept.
            taken: what the loop has taken so far.
            newest_decision: the highest decision number that the journal has shown, 0 before the first.
            wall_ns: our clock.
        """
        self._store, self._taken, self._newest_decision, self._wall_ns = store, taken, newest_decision, wall_ns
        self._waiting: deque[Kept] = deque()
        self._lock = threading.Lock()
        """Held from storing to queueing, so that the loop takes outcomes in the order of their numbers."""
        self._queued = taken.last_sequence
        self._recovered = False
        self._counts: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._recover_until_done, name="outcome-intake", daemon=True)

    def start(self) -> None:
        """Fetch what an earlier process kept and did not take, as soon as the store can be reached."""
        self._thread.start()

    def stop(self) -> None:
        """End it; what waits is in the store and is taken after the next start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        with self._lock:
            self._store.close()
            self._taken.close()

    def post(self, outcomes: Sequence[PostedOutcome]) -> list[Answer]:
        """Keep outcomes and say of each what became of it; on return they are on the disk.

        Raises:
            OutcomeStoreUnavailableError: the store cannot be reached; posting again is safe.
        """
        with self._lock:
            try:
                self._recover()
                newest = self._newest_decision()
                statuses: list[Status] = ["accepted" if o.decision_id <= newest else "unknown" for o in outcomes]
                answers = self._store.add(outcomes, statuses, self._wall_ns())
            except OutcomeStoreUnavailableError:
                # It may have been kept all the same: look again before the next is taken.
                self._recovered = False
                self._counts["unavailable"] += 1
                raise
            self._queue([answer.kept for answer in answers if answer.rule == "accepted"])
            self._counts.update(answer.rule for answer in answers)
        return answers

    def of_decision(self, decision_id: int) -> list[Kept]:
        """Return what was kept of a decision, in order of acceptance.

        Raises:
            OutcomeStoreUnavailableError: the store cannot be reached.
        """
        return self._store.of_decisions(decision_id, decision_id)

    def refused(self) -> None:
        """Count a post that was no outcome."""
        with self._lock:
            self._counts["malformed"] += 1

    def counts(self) -> dict[str, int]:
        """Return how often each rule was applied: RULES since the store was made, the others since the start."""
        counted = {rule: self._counts[rule] for rule in (*RULES, "malformed", "unavailable")}
        return {**counted, "waiting": len(self._waiting)}

    def take(self, position: int) -> list[StoredOutcome]:
        """Return what is to be folded now, and keep that it was taken at this place of the journal.

        Args:
            position: records that the fold has consumed.

        Raises:
            OSError: the disk refuses; nothing is taken.
        """
        kept = [self._waiting[place] for place in range(len(self._waiting))]
        newest = self._newest_decision()
        taken = [
            StoredOutcome(
                sequence=one.sequence,
                position=position,
                wall_ns=one.wall_ns,
                status="accepted" if one.outcome.decision_id <= newest else "unknown",
                outcome=one.outcome,
            )
            for one in kept
        ]
        self._taken.append(taken)
        for _ in kept:
            self._waiting.popleft()
        return taken

    def _recover(self) -> None:
        """Queue what is in the store and neither taken nor queued; the lock is held."""
        if self._recovered:
            return
        while found := self._store.after(self._queued, _CHUNK):
            self._queue(found)
        for rule, count in self._store.counts().items():
            self._counts[rule] = count
        self._recovered = True

    def _queue(self, kept: Sequence[Kept]) -> None:
        self._waiting.extend(kept)
        self._queued = max([self._queued, *(one.sequence for one in kept)])

    def _recover_until_done(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                with self._lock:
                    self._recover()
            except OutcomeStoreUnavailableError as error:
                if str(error) != said:
                    said = str(error)
                    log.error("outcome_store_away", reason=said)
                self._stop.wait(_RETRY_S)
            else:
                return
