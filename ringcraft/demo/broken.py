"""A recording broken on purpose, as a bad capture would be."""

from dataclasses import replace

import numpy as np

from data_contracts.recording import Recording


def broken(recording: Recording) -> Recording:
    """Return a copy with a third of its quotes crossed and its clock running backwards in one stretch."""
    events = recording.events.copy()
    third = len(events) // 3
    crossed = np.arange(third, 2 * third)
    events["bid_ticks"][crossed], events["ask_ticks"][crossed] = (
        events["ask_ticks"][crossed] + 1,
        events["bid_ticks"][crossed].copy(),
    )
    events["event_ns"][: third // 2] = events["event_ns"][: third // 2][::-1].copy()
    return replace(recording, events=events, source=recording.source.with_name(f"broken-{recording.source.name}"))
