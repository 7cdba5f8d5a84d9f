"""Asking a worker on this host for decisions through shared memory, the quickest door there is."""

from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.journal import AbstainReason, Arm
from native._native import SharedClient as NativeClient
from serving import shared_memory

ROWS_MAX: Final = 256
"""Rows of one question; 16,384 numbers in all."""
_RETRIED: Final = 3
"""A worker that starts anew answers what it finds with "ask again"."""


class Status(IntEnum):
    """What became of a question as a whole; each row's own fate is its abstain reason."""

    OK = 0
    UNKNOWN_MODEL = 1
    UNKNOWN_VERSION = 2
    BAD_SHAPE = 3
    TAKEN_OFF = 4
    NOT_READY = 5
    RESTARTED = 6
    TIMEOUT = 7
    STREAM = 8


class Answer(Struct, frozen=True, kw_only=True):
    """Decisions on n rows, or why there are none."""

    status: Status
    reason: str
    """One line for a person; empty where status is OK."""
    version: int
    arm: Arm
    worker_ns: int
    """From the look that found the question to the answer."""
    decision_ids: NDArray[np.uint64]
    """Shape (n,), as in the journal."""
    actions: NDArray[np.int8]
    """Shape (n,): +1 buy, 0 flat, -1 sell."""
    abstains: NDArray[np.uint8]
    """Shape (n,), AbstainReason."""
    outputs: NDArray[np.float32]
    """Shape (n, k): the model's first outputs, NaN where it gave none."""

    def reasons(self) -> list[str]:
        """Return why each row is an abstention; empty where it is none."""
        return ["" if one == AbstainReason.NONE else AbstainReason(one).name.lower() for one in self.abstains.tolist()]


class SharedClient:
    """One lane of a worker's door; a thread takes one for itself, and no more than 32 are out at once."""

    def __init__(self, state_dir: Path, *, worker: str = "worker-0") -> None:
        """Take a lane of the worker of the tier whose state lies in `state_dir`.

        Raises:
            UsageError: there is no such door, or every lane is taken.
        """
        try:
            self._native = NativeClient(str(shared_memory.path(state_dir, shared_memory.door(worker))))
        except RuntimeError as error:
            raise UsageError(f"shared-memory door: {error}") from None

    @property
    def served(self) -> bool:
        """Whether a worker serves the door."""
        return self._native.served

    def ask(self, model: str, rows: NDArray[np.float32], **question: Any) -> Answer:  # noqa: ANN401
        """Ask and wait.

        Args:
            model: registered name.
            rows: (n, d) vectors, or (n, w, d) windows, oldest vector first.
            question: version (0: as routed), arm (0 champion, 1 challenger, 255 as drawn), instrument, key of an
                assignment by request, account of one by account, deadline_ns (CLOCK_MONOTONIC), timeout_s, spin_s
                (looked for without sleep).
        """
        flat = np.ascontiguousarray(rows, dtype=np.float32).reshape(len(rows), -1)
        for _ in range(_RETRIED):
            answer = self._answer(model, flat, question)
            if answer.status != Status.RESTARTED:
                break
        return answer

    def _answer(self, model: str, rows: NDArray[np.float32], question: dict[str, Any]) -> Answer:
        said = self._native.ask(model, rows, **question)
        status, reason, version, arm, worker_ns, decision_ids, actions, abstains, outputs = said
        return Answer(
            status=Status(status),
            reason=reason,
            version=version,
            arm=Arm(arm),
            worker_ns=worker_ns,
            decision_ids=decision_ids,
            actions=actions,
            abstains=abstains,
            outputs=outputs,
        )

    def round_trips_ns(
        self, model: str, rows: NDArray[np.float32], repeats: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ask again and again, spinning; return each round trip and what the worker spent of it, shape (repeats,)."""
        return self._native.round_trips_ns(model, rows, repeats)
