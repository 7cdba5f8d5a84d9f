"""The PnL table's cells, and the table by any of its columns."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec
from msgspec import Struct

from data_contracts.errors import UsageError

By = Literal["model", "version", "arm", "instrument", "hour"]
BY: Final[tuple[By, ...]] = get_args(By)
DEFAULT_BY: Final = "model,version,arm"
CELLS_MAX: Final = 20_000
"""Hours beyond it are added up, the oldest first, under the hour 0."""


class Key(NamedTuple):
    """What a cell adds up."""

    model: str
    version: int
    arm: str
    """champion or challenger: which of the two took the decisions."""
    instrument: str
    hour: int
    """Begin of the decisions' hour, event time, nanoseconds since 1970; 0: earlier hours together."""


class Cell(Struct):
    """Sums over the decisions of a key; bps after costs, every trade weighs the same."""

    decisions: int = 0
    trades: int = 0
    """Decisions with an action."""
    paper: int = 0
    """Trades whose mark-out could be taken."""
    paper_bps: float = 0.0
    realised: int = 0
    """Trades with a realised outcome in bps."""
    realised_bps: float = 0.0
    both: int = 0
    """Trades with both."""
    both_paper_bps: float = 0.0
    both_realised_bps: float = 0.0
    in_usd: int = 0
    """Trades with a realised outcome in USD; mark-outs are known in bps only."""
    realised_usd: float = 0.0
    fills: int = 0

    def add(self, other: "Cell") -> None:
        """Add another cell to this one."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Row(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the table; columns it is not taken apart by are absent."""

    model: str | None = None
    version: int | None = None
    arm: str | None = None
    instrument: str | None = None
    hour: int | None = None
    sums: Cell

    @property
    def paper_mean_bps(self) -> float | None:
        """Return what a trade earned on paper."""
        return self.sums.paper_bps / self.sums.paper if self.sums.paper else None

    @property
    def realised_mean_bps(self) -> float | None:
        """Return what a trade earned as the trading system says."""
        return self.sums.realised_bps / self.sums.realised if self.sums.realised else None


class Cells:
    """Cells by number and by key."""

    def __init__(self) -> None:
        """Start with none."""
        self.keys: list[Key] = []
        self._cells: list[Cell] = []
        self._numbers: dict[Key, int] = {}

    def __getitem__(self, number: int) -> Cell:
        return self._cells[number]

    def number(self, key: Key) -> int:
        """Return the key's cell, made where there is none."""
        number = self._numbers.get(key)
        if number is None:
            if len(self._numbers) >= CELLS_MAX and key.hour:
                self._add_up_oldest()
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
            self._cells.append(Cell())
        return number

    def items(self) -> list[tuple[Key, Cell]]:
        """Return every cell with its key."""
        return [(key, self._cells[number]) for key, number in self._numbers.items()]

    def save(self) -> bytes:
        """Return all of it; numbers stay what they are."""
        places = {id(cell): place for place, cell in enumerate(self._cells)}
        shared = [places[id(cell)] for cell in self._cells]
        return msgspec.msgpack.encode((self.keys, self._cells, shared, list(self._numbers.values())))

    def load(self, data: bytes) -> None:
        """Take what `save` returned."""
        kept = msgspec.msgpack.decode(data, type=tuple[list[Key], list[Cell], list[int], list[int]])
        self.keys, cells, shared, numbers = kept
        self._cells = [cells[place] for place in shared]
        self._numbers = {self.keys[number]: number for number in numbers}

    def _add_up_oldest(self) -> None:
        """Move the oldest tenth of the hours to the hour 0; their numbers stay good."""
        hourly = sorted((key for key in self._numbers if key.hour), key=lambda key: key.hour)
        for key in hourly[: max(1, len(hourly) // 10)]:
            number, earlier = self._numbers.pop(key), self.number(key._replace(hour=0))
            self._cells[earlier].add(self._cells[number])
            self._cells[number] = self._cells[earlier]


def columns_of(text: str) -> tuple[By, ...]:
    """Return the columns that a list like "model,hour" names, in the table's order.

    Raises:
        UsageError: another name.
    """
    asked = [name.strip() for name in text.split(",") if name.strip()]
    for name in asked:
        if name not in BY:
            raise UsageError(f"by: expected some of {', '.join(BY)}, got {name!r}")
    return tuple(name for name in BY if name in asked)


def table_by(cells: Iterable[tuple[Key, Cell]], by: Sequence[By]) -> list[Row]:
    """Return the sums taken apart by some columns, in order of these."""
    sums: dict[tuple[Any, ...], Cell] = {}
    for key, cell in cells:
        sums.setdefault(tuple(getattr(key, name) for name in by), Cell()).add(cell)
    return [Row(**dict(zip(by, key, strict=True)), sums=sums[key]) for key in sorted(sums)]
