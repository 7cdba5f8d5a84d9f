"""How long to wait before trying again."""

import random

from msgspec import Struct


class Backoff(Struct, kw_only=True):
    """Doubles from `first_s` up to `most_s`, less a random part so that clients do not come back all at once."""

    first_s: float = 0.5
    most_s: float = 60.0
    attempts: int = 0

    def next_s(self, chance: random.Random) -> float:
        """Return the next wait: between half of the full one and all of it."""
        full = min(self.most_s, self.first_s * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        return full * chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start over after a success."""
        self.attempts = 0
