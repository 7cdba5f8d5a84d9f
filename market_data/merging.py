"""Recordings of several sources and instruments as one stream in order of event time."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from data_contracts.errors import InstrumentChoiceError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import BookDepths, MarketEvents
from data_contracts.recording import Recording
from market_data.reading import read_recordings

ALL = "all"
"""Stands for every instrument of a source."""


def read_many(
    sources: Sequence[Path | str],
    *,
    format: str | None = None,  # noqa: A002  the option's name
    instruments: Sequence[str] = (),
    depth: bool = False,
) -> tuple[Recording, ...]:
    """Return the recordings of several files and folders, by symbol and time, whatever the order they are named in.

    Args:
        sources: files or folders.
        format: of all of them; None: found out for each.
        instruments: each VENUE:SYMBOL, SYMBOL or "all"; none: the only one that a source holds.
        depth: whether to keep the levels at each event too.

    Raises:
        UsageError: as read_recordings(); an instrument that no source holds; two that hold the same time.
        FormatError: as read_recordings().
    """
    read = partial(read_recordings, format=format, depth=depth)
    found: list[Recording] = []
    missing = {each for each in instruments if each != ALL}
    for source in sources:
        ours: list[Recording] = []
        refused: list[InstrumentChoiceError] = []
        for wanted in instruments or (None,):
            try:
                read_already = {each.instrument.symbol for each in ours}  # named twice, or by "all" as well
                ours += [each for each in _read(source, wanted, read) if each.instrument.symbol not in read_already]
            except InstrumentChoiceError as error:
                if wanted is None or len(sources) == 1:
                    raise
                refused.append(error)
                continue
            missing.discard(wanted or "")
        if instruments and not ours:
            raise refused[0]
        _refuse_twice(found, ours)
        _refuse_overlap(ours)
        found += [each for each in ours if len(each)]
    if missing:
        raise UsageError(f"instrument: no source holds {', '.join(sorted(missing))}")
    return tuple(sorted(found, key=_order))


def _read(source: Path | str, wanted: str | None, read: Callable[..., tuple[Recording, ...]]) -> list[Recording]:
    if wanted != ALL:
        return list(read(source, instrument=wanted))
    try:
        return list(read(source))
    except InstrumentChoiceError as error:
        return [each for symbol in error.choices for each in read(source, instrument=symbol)]


def _refuse_twice(found: Sequence[Recording], more: Sequence[Recording]) -> None:
    for one in found:
        for other in more:
            if one.instrument.symbol != other.instrument.symbol or not len(other):
                continue
            first, last = one.events["event_ns"][[0, -1]]
            if first <= other.events["event_ns"][-1] and other.events["event_ns"][0] <= last:
                symbol = one.instrument.symbol
                raise UsageError(f"{one.source} and {other.source}: both hold {symbol} at the same time: name one")


def _refuse_overlap(ours: Sequence[Recording]) -> None:
    """Refuse recordings of one source that hold the same time, as files of several schemas in a folder do."""
    ordered = sorted((each for each in ours if len(each)), key=_order)
    for one, other in pairwise(ordered):
        symbol = one.instrument.symbol
        if symbol == other.instrument.symbol and other.events["event_ns"][0] < one.events["event_ns"][-1]:
            raise UsageError(f"{one.source} and {other.source}: both hold {symbol} at the same time: name one")


def _order(recording: Recording) -> tuple[str, int]:
    return recording.instrument.symbol, int(recording.events["event_ns"][0]) if len(recording) else 0


def merged(recordings: Sequence[Recording]) -> tuple[list[Instrument], MarketEvents]:
    """Return the instruments by symbol, and all events in order of event time with `instrument` their position.

    Events of one time come in the order of their instruments.

    Raises:
        UsageError: there is no event, or an instrument is described in two ways.
    """
    instruments, events, _ = merged_with_depth(recordings)
    return instruments, events


def merged_with_depth(
    recordings: Sequence[Recording],
) -> tuple[list[Instrument], MarketEvents, BookDepths | None]:
    """Return what merged() does, and the events' levels, which are None unless every recording has them.

    Raises:
        UsageError: as merged().
    """
    ordered = sorted(recordings, key=_order)
    instruments: list[Instrument] = []
    parts: list[MarketEvents] = []
    for recording in ordered:
        if not instruments or recording.instrument != instruments[-1]:
            if instruments and recording.instrument.symbol == instruments[-1].symbol:
                raise UsageError(f"{recording.source}: {recording.instrument.symbol} is described otherwise elsewhere")
            instruments.append(recording.instrument)
        part = recording.events.copy()
        part["instrument"] = len(instruments) - 1
        parts.append(part)
    if not sum(len(part) for part in parts):
        raise UsageError("expected at least one event, got none")
    events = np.concatenate(parts)
    order = np.argsort(events["event_ns"], kind="stable")
    levels = [recording.depth for recording in ordered if recording.depth is not None]
    depth = np.concatenate(levels)[order] if len(levels) == len(ordered) else None
    return instruments, events[order], depth


def digest(recordings: Sequence[Recording]) -> str:
    """Return SHA-256 of the merged stream: its instruments and the bytes of its events; empty where there is none."""
    if not any(len(recording) for recording in recordings):
        return ""
    instruments, events = merged(recordings)
    found = hashlib.sha256(msgspec.json.encode(instruments))
    found.update(events.tobytes())
    return found.hexdigest()
