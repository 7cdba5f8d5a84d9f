"""A token bucket: a second's worth of requests at once, then so many a second."""

import threading
import time
from collections.abc import Callable


class Pace:
    """One bucket; any thread may take from it."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin full; one request passes at once however few a second there may be. `clock` gives seconds."""
        self._per_second, self._clock = per_second, clock
        self._most = max(1.0, per_second)
        self._tokens, self._at_s = self._most, clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one request's token; whether there was one."""
        with self._lock:
            now_s = self._clock()
            self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self._per_second)
            self._at_s = now_s
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True
