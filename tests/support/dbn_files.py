"""Files of DBN written row by row with Databento's own package."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import databento_dbn as databento

LAST, SNAPSHOT, MAYBE_BAD = 128, 32, 4
UNIT = 1_000_000_000
START = 1_700_000_000 * UNIT


def head(schema: str | None = "mbo", *, ids: dict[str, int] | None = None) -> bytes:
    mappings = [
        SimpleNamespace(
            raw_symbol=name,
            intervals=[
                SimpleNamespace(start_date=date(2023, 11, 14), end_date=date(2023, 11, 15), symbol=str(number)),
            ],
        )
        for name, number in (ids or {"ESZ3": 7}).items()
    ]
    said = databento.Metadata(
        dataset="GLBX.MDP3",
        start=START,
        stype_in=databento.SType.RAW_SYMBOL,
        stype_out=databento.SType.INSTRUMENT_ID,
        schema=schema and databento.Schema.from_str(schema),
        mappings=mappings,
    )
    return bytes(said)


def order(action: str, side: str, number: int, price: float, size: int, at: int, **more: int) -> bytes:
    return bytes(
        databento.MBOMsg(
            publisher_id=more.get("publisher", 1),
            instrument_id=more.get("instrument", 7),
            ts_event=START + at,
            order_id=number,
            price=round(price * UNIT),
            size=size,
            action=databento.Action(action),
            side=databento.Side(side),
            ts_recv=START + at + 5,
            flags=more.get("flags", LAST),
            sequence=at,
        )
    )


def write(folder: Path, *records: bytes, schema: str | None = "mbo", name: str = "es.mbo.dbn") -> Path:
    path = folder / name
    path.write_bytes(head(schema) + b"".join(records))
    return path


CLEAR = order("R", "N", 0, 0, 0, 1)
