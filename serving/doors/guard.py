"""What stands before a door's questions: keys with their scopes, rates, how many at once, and what was counted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from data_contracts.settings import ApiKey
from native._native import assignment_key
from serving.doors.counters import Counters
from serving.doors.in_flight import InFlight
from serving.doors.keys import KeyRefusedError, KeyRing
from serving.doors.pace import Pace

_PACES: Final = 1024
"""Names come from whoever asks, so that instruments share buckets by their hash; the REST door has as many."""


class Guard:
    """One door's; any thread may ask it.

    Attributes:
        ring: who may ask, and how often.
        counters: what came, and what became of it.
    """

    def __init__(
        self,
        keys: Sequence[ApiKey] = (),
        in_flight: InFlight | None = None,
        instrument_requests_per_second: float | None = None,
    ) -> None:
        """Let those pass who have one of `keys`; None: any number of questions at once, or of an instrument."""
        self.ring = KeyRing(keys)
        self.counters = Counters()
        self._in_flight = in_flight or InFlight()
        self._per_second = instrument_requests_per_second
        most = instrument_requests_per_second
        self._paces = [] if most is None else [Pace(most) for _ in range(_PACES)]

    @contextmanager
    def question(self, model: str, instrument: str | None) -> Iterator[None]:
        """Hold a place for a question of `model` that names an instrument, or none.

        Raises:
            KeyRefusedError: rate: too many of the instrument; in_flight: there is no place.
        """
        if instrument and self._paces and not self._paces[assignment_key(instrument) % _PACES].take():
            most = f"{self._per_second:g} requests a second of one instrument"
            raise KeyRefusedError("rate", f"rate: expected at most {most}, got more")
        with self._in_flight.one(model):
            yield
