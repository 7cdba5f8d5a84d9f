"""How many questions may be in flight: at a door, and of a model there. One more is refused at once, never queued."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from serving.doors.keys import KeyRefusedError


class InFlight:
    """What is in flight at one door; any thread may ask it."""

    def __init__(self, most: int | None = None, models: Mapping[str, int] | None = None) -> None:
        """Let `most` questions pass at once, and of each of `models` as many as it says; none: any."""
        self._most: Final = most
        self._models: Final = dict(models or {})
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()

    @contextmanager
    def one(self, model: str) -> Iterator[None]:
        """Hold a place for a question of `model`.

        Raises:
            KeyRefusedError: in_flight: there is none.
        """
        with self._lock:
            full = self._full(model)
            if full:
                raise KeyRefusedError("in_flight", f"concurrency: expected at most {full}, got more")
            self._asked[model] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asked[model] -= 1
                if not self._asked[model]:
                    del self._asked[model]  # names come from whoever asks

    def _full(self, model: str) -> str:
        if self._most is not None and self._asked.total() >= self._most:
            return f"{self._most} requests in flight at this door"
        limit = self._models.get(model)
        if limit is not None and self._asked[model] >= limit:
            return f"{limit} requests in flight of model {model}"
        return ""
