"""Market events as messages: of recordings, and of a shared-memory bus that carries a live feed."""

from collections.abc import Iterator, Sequence

from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from data_contracts.messages import EventMessage, FeaturesMessage
from data_contracts.recording import Recording
from market_data.features import compute_features
from serving.export.teller import Told

_LEFT_OUT = ("instrument", "reserved")
_FIELDS = tuple(name for name in MARKET_EVENT.names or () if name not in _LEFT_OUT)


def told_events(instruments: Sequence[Instrument], events: MarketEvents) -> list[Told]:
    """Return each event as a message, in their order.

    Args:
        instruments: what the events' `instrument` counts.
        events: MARKET_EVENT, shape (n,).
    """
    symbols = [one.symbol for one in instruments]
    columns = [events[name].tolist() for name in _FIELDS]
    told = []
    for index, *values in zip(events["instrument"].tolist(), *columns, strict=True):
        message = EventMessage(instrument=symbols[index], **dict(zip(_FIELDS, values, strict=True)))
        told.append(Told("events", symbols[index], message))
    return told


def recorded_batches(
    recording: Recording, feature_set: FeatureSet | None, *, size: int = 1_000
) -> Iterator[list[Told]]:
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
