"""What a door has asked so far, by model and version, as Triton's statistics tell it."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from serving.doors.shared_client import Answer


@dataclass
class Tally:
    """One version's."""

    rows: int = 0
    answered: int = 0
    answered_ns: int = 0
    worker_ns: int = 0
    failed: int = 0
    failed_ns: int = 0
    last_ms: int = 0

    def write(self, into: Any) -> None:  # noqa: ANN401
        """Fill a ModelStatistics message."""
        into.last_inference, into.inference_count, into.execution_count = self.last_ms, self.rows, self.answered
        stats = into.inference_stats
        stats.success.count, stats.success.ns = self.answered, self.answered_ns
        stats.fail.count, stats.fail.ns = self.failed, self.failed_ns
        stats.compute_infer.count, stats.compute_infer.ns = self.answered, self.worker_ns


@dataclass
class Tallies:
    """Every version's; any thread may count."""

    _by_version: dict[tuple[str, int], Tally] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, model: str, answer: Answer, spent_ns: int) -> None:
        """Count a request that got decisions."""
        with self._lock:
            tally = self._by_version.setdefault((model, answer.version), Tally())
            tally.rows += len(answer.actions)
            tally.answered += 1
            tally.answered_ns += spent_ns
            tally.worker_ns += answer.worker_ns
            tally.last_ms = time.time_ns() // 1_000_000

    def failed(self, model: str, spent_ns: int) -> None:
        """Count one that got none, to the version that answered last; none before the first answer."""
        with self._lock:
            tallies = [tally for (name, _), tally in self._by_version.items() if name == model]
            if tallies:
                last = max(tallies, key=lambda tally: tally.last_ms)
                last.failed += 1
                last.failed_ns += spent_ns

    def of(self, model: str) -> list[tuple[int, Tally]]:
        """Return the versions of a model that were asked, in order."""
        with self._lock:
            return sorted((version, tally) for (name, version), tally in self._by_version.items() if name == model)
