"""A slow, obvious book of one instrument: what the native one is held against."""

from data_contracts.market_event import EventFlag


class PlainBook:
    """Orders in a dict by reference, oldest first; everything else is found by looking at all of them."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[str, int, int]] = {}

    def add(self, reference: int, side: str, ticks: int, lots: int) -> bool:
        if reference in self.orders or lots == 0:
            return False
        self.orders[reference] = (side, ticks, lots)
        return True

    def reduce(self, reference: int, lots: int) -> int:
        if reference not in self.orders:
            return 0
        side, ticks, left = self.orders[reference]
        taken = min(lots, left)
        if taken == left:
            del self.orders[reference]
        else:
            self.orders[reference] = (side, ticks, left - taken)  # its place in the dict stays
        return taken

    def depth(self, side: str, levels: int) -> list[tuple[int, int, int]]:
        prices = {ticks for each, ticks, _ in self.orders.values() if each == side}
        best_first = sorted(prices, reverse=side == "B")[:levels]
        return [(ticks, sum(self._lots(side, ticks)), len(self._lots(side, ticks))) for ticks in best_first]

    def best(self) -> tuple[int, int, int, int]:
        (bid, bid_lots, _), (ask, ask_lots, _) = ((self.depth(side, 1) or [(0, 0, 0)])[0] for side in "BS")
        return bid, bid_lots, ask, ask_lots

    def place(self, reference: int) -> tuple[str, int, int, int, int] | None:
        """Return side, ticks, lots, orders before it and lots before it."""
        if reference not in self.orders:
            return None
        side, ticks, lots = self.orders[reference]
        older = list(self.orders)[: list(self.orders).index(reference)]
        before = [self.orders[each][2] for each in older if self.orders[each][:2] == (side, ticks)]
        return side, ticks, lots, len(before), sum(before)

    def touch_state(self) -> int:
        bid, bid_lots, ask, ask_lots = self.best()
        if not bid_lots or not ask_lots:
            return EventFlag.ONE_SIDED
        return EventFlag.CROSSED if bid > ask else EventFlag.LOCKED if bid == ask else 0

    def _lots(self, side: str, ticks: int) -> list[int]:
        return [lots for each, price, lots in self.orders.values() if (each, price) == (side, ticks)]
