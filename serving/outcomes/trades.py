"""The latest decisions with an action, by number, each with what paper and the trading system say it earned."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TRADES_MAX: Final = 1 << 20
"""About 30 MB; an outcome of a trade further back is late."""
_TRADE: Final = np.dtype(
    [("decision_id", "<u8"), ("paper_bps", "<f8"), ("realised_bps", "<f8"), ("cell", "<u4"), ("action", "i1")]
)


class Trades:
    """A table sorted by decision number; NaN where an outcome is not known."""

    def __init__(self) -> None:
        """Start empty."""
        self.forgotten = 0
        """No trade up to this decision is held any longer."""
        self._table: NDArray[Any] = np.zeros(0, _TRADE)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, decision_ids: NDArray[Any], actions: NDArray[Any], cells: NDArray[Any]) -> None:
        """Append trades, shape (n,) each, in order of number and after all that are held."""
        end = self._count + len(decision_ids)
        if end > len(self._table):
            self._make_room(end)
            end = self._count + len(decision_ids)
        rows = self._table[self._count : end]
        rows["decision_id"], rows["action"], rows["cell"] = decision_ids, actions, cells
        rows["paper_bps"] = rows["realised_bps"] = np.nan
        self._count = end

    def place(self, decision_id: int) -> int | None:
        """Return where a trade is; None where it is not held."""
        # Compared as the column's type: with a plain int the whole column would be converted first.
        place = int(np.searchsorted(self._table["decision_id"][: self._count], np.uint64(decision_id)))
        return place if place < self._count and self._table["decision_id"][place] == decision_id else None

    def places(self, decision_ids: NDArray[Any]) -> NDArray[Any]:
        """Return where trades are, shape (n,); -1 where one is not held."""
        held = self._table["decision_id"][: self._count]
        found = np.searchsorted(held, decision_ids)
        known = found < self._count
        known[known] = held[found[known]] == decision_ids[known]
        return np.where(known, found, -1)

    def get(self, place: int) -> tuple[int, float, float, int, int]:
        """Return decision number, paper and realised in bps, cell and action."""
        return self._table[place].item()  # type: ignore[no-any-return]

    def mark(self, place: int, paper_bps: float) -> None:
        """Keep a trade's mark-out."""
        self._table["paper_bps"][place] = paper_bps

    def realise(self, place: int, realised_bps: float) -> None:
        """Keep what the trading system says."""
        self._table["realised_bps"][place] = realised_bps

    def save(self) -> bytes:
        """Return the table."""
        return self._table[: self._count].tobytes()

    def load(self, data: bytes, forgotten: int) -> None:
        """Take what `save` returned."""
        self._table = np.frombuffer(data, _TRADE).copy()
        self._count, self.forgotten = len(self._table), forgotten

    def _make_room(self, wanted: int) -> None:
        held = self._table[: self._count]
        if wanted > TRADES_MAX:
            # Half at once, so that it is seldom.
            cut = min(self._count, max(self._count // 2, wanted - TRADES_MAX))
            if cut:
                self.forgotten = int(held["decision_id"][cut - 1])
            held = held[cut:].copy()
            wanted -= cut
        table = np.zeros(max(1024, wanted, min(2 * wanted, TRADES_MAX)), _TRADE)
        table[: len(held)] = held
        self._table, self._count = table, len(held)
