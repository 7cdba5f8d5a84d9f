"""The demonstration's broken recording is really broken, and only the copy."""

from pathlib import Path

import numpy as np

from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from data_contracts.recording import Recording
from ringcraft.demo.broken import broken


def test_broken_copy_is_crossed_and_runs_backwards_while_the_original_stays() -> None:
    events = np.zeros(90, MARKET_EVENT)
    events["event_ns"] = np.arange(90)
    events["bid_ticks"], events["ask_ticks"] = 100, 101
    instrument = Instrument(symbol="X:Y", tick_size="0.01", lot_size="1", currency="EUR")
    recording = Recording(instrument=instrument, events=events, source=Path("day"), skipped={})
    copy = broken(recording)
    assert (copy.events["bid_ticks"] > copy.events["ask_ticks"]).sum() == 30
    assert (np.diff(copy.events["event_ns"]) < 0).any()
    assert not (recording.events["bid_ticks"] > recording.events["ask_ticks"]).any()
