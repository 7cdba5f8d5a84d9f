"""What a store of posted outcomes does, whatever keeps them."""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

from msgspec import Struct

from data_contracts.outcome import PostedOutcome, Status

Rule = Literal["accepted", "duplicate", "contradictory"]
RULES: Final[tuple[Rule, ...]] = ("accepted", "duplicate", "contradictory")


class Kept(Struct, frozen=True, kw_only=True):
    """An outcome as it is in the store."""

    sequence: int
    """In order of acceptance, from 1; numbers may be left out."""
    wall_ns: int
    """When it was accepted, our clock."""
    status: Status
    """Whether its decision had been seen by then."""
    outcome: PostedOutcome


class Answer(Struct, frozen=True, kw_only=True):
    """What became of one posted outcome."""

    rule: Rule
    kept: Kept
    """What stands: the outcome itself, or the earlier one that it repeats or contradicts."""
    reason: str = ""
    """Of a contradiction: the first difference."""


class OutcomeStore(Protocol):
    """Outcomes by id, each kept once and for good; safe to call from several threads.

    Raises:
        OutcomeStoreUnavailableError: the store cannot be reached just now; nothing of the call was kept, or all of it
            was and the answer was lost: posting again is safe.
    """

    def add(self, outcomes: Sequence[PostedOutcome], statuses: Sequence[Status], wall_ns: int) -> list[Answer]:
        """Keep what is new, all in one step, and say of each what became of it; on return it is on the disk.

        A known id with the same content is a duplicate; with another content, or a second realised outcome of a
        decision under another id, it contradicts, and the first one stands. Each is counted.
        """
        ...

    def after(self, sequence: int, limit: int = 10_000) -> list[Kept]:
        """Return what was accepted after `sequence`, in order."""
        ...

    def of_decisions(self, first: int, last: int, *, after: int = 0, limit: int = 10_000) -> list[Kept]:
        """Return the outcomes of decisions `first` to `last` that were accepted after number `after`, in order."""
        ...

    def counts(self) -> dict[str, int]:
        """Return how many outcomes each of RULES was applied to, since the store was made."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
