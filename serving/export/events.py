"""Market events as messages: of recordings, and of a shared-memory bus that carries a live feed."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, BookDepths, MarketEvents
from data_contracts.messages import EventMessage, FeaturesMessage
from data_contracts.recording import Recording
from market_data.features import compute_features
from serving.export.sinks import Sink
from serving.export.teller import Told

_FLAT_OUT: Final = 1_000
_PACED: Final = 20
_LONGEST_SILENCE_S: Final = 60.0
_LEFT_OUT = ("instrument", "reserved")
_FIELDS = tuple(name for name in MARKET_EVENT.names or () if name not in _LEFT_OUT)


def told_events(instruments: Sequence[Instrument], events: MarketEvents, depth: BookDepths | None = None) -> list[Told]:
    """Return each event as a message, in their order.

    Args:
        instruments: what the events' `instrument` counts.
        events: MARKET_EVENT, shape (n,).
        depth: the levels at each of them, shape (n, 4, 10), where they are told too.
    """
    symbols = [one.symbol for one in instruments]
    columns = [events[name].tolist() for name in _FIELDS]
    levels = [None] * len(events) if depth is None else [tuple(map(tuple, one)) for one in depth.tolist()]
    told = []
    for index, sides, *values in zip(events["instrument"].tolist(), levels, *columns, strict=True):
        message = EventMessage(instrument=symbols[index], levels=sides, **dict(zip(_FIELDS, values, strict=True)))
        told.append(Told("events", symbols[index], message))
    return told


def tell_recording(
    recording: Recording, sinks: Sequence[Sink], *, speed: float = 0.0, feature_set: FeatureSet | None = None
) -> int:
    """Tell every event of a recording to every sink; return how many messages that were.

    Args:
        recording: what is told.
        sinks: that are told.
        speed: seconds of event time a second; 0: flat out. Silences over a minute are shortened to one.
        feature_set: whose newest vector is told after each batch; None: none is.

    Raises:
        StoreError: a sink did not take it all; telling everything again is safe.
    """
    count, before_ns = 0, 0
    for told in recorded_batches(recording, feature_set, size=_PACED if speed else _FLAT_OUT):
        first_ns = told[0].message.event_ns if isinstance(told[0].message, EventMessage) else before_ns
        if speed and before_ns:
            time.sleep(min(max(first_ns - before_ns, 0) * 1e-9, _LONGEST_SILENCE_S) / speed)
        before_ns = first_ns
        for sink in sinks:
            sink.tell(told)
        count += len(told)
    return count


def recorded_batches(recording: Recording, feature_set: FeatureSet | None, *, size: int) -> Iterator[list[Told]]:
    """Return a recording's events in batches, each with the feature vector after its last event, where one is ready.

    Args:
        recording: whose events all are of one instrument.
        feature_set: that is computed; None: none is.
        size: of a batch.
    """
    matrix, ready = compute_features(recording, feature_set) if feature_set else (None, None)
    events = recording.events.copy()
    events["instrument"] = 0
    for start in range(0, len(events), size):
        stop = min(start + size, len(events))
        told = told_events([recording.instrument], events[start:stop])
        if feature_set is not None and matrix is not None and ready is not None and ready[stop - 1]:
            symbol = recording.instrument.symbol
            vector = FeaturesMessage(
                instrument=symbol,
                event_ns=int(events["event_ns"][stop - 1]),
                feature_set=feature_set.name,
                feature_hash=feature_set.hash,
                names=tuple(feature_set.features),
                values=tuple(matrix[stop - 1].tolist()),
            )
            told.append(Told("events", symbol, vector))
        yield told
