"""Feature vectors a second: native streaming code against its numpy reference, same events, one core."""

import tempfile
import time
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.report import paired, ratio
from data_contracts.feature_set import FeatureSet
from data_contracts.recording import Recording
from market_data.feature_sets import FEATURE_SETS, needs_depth, needs_leader
from market_data.features import compute_features
from market_data.microprice import fit
from market_data.reading import read_recordings
from market_data.reference.features import reference_features
from market_data.simulator import simulate

EVENTS_FOR_REFERENCE = 300
"""The reference is plain, and slower the longer the recording: a short part flatters it."""


def run() -> list[dict[str, Any]]:
    """Measure every feature set on a simulated market."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "market.itch50"
        simulate(path, seed=1, seconds=20_000)
        (recording,) = read_recordings(path, format="itch50", depth=True)
    return [_measure(recording, _ready(chosen, recording)) for chosen in FEATURE_SETS.values()]


def _ready(chosen: FeatureSet, recording: Recording) -> FeatureSet:
    """Return the set, fitted where it has something to fit; a leader is the market itself."""
    if needs_leader(chosen):
        return replace(chosen, leader=recording.instrument.symbol)
    return fit([recording], chosen) if needs_depth(chosen) else chosen


def _measure(recording: Recording, chosen: FeatureSet) -> dict[str, Any]:
    part = recording.part(0, EVENTS_FOR_REFERENCE)
    leader = [recording] if needs_leader(chosen) else []

    def native() -> float:
        start = time.perf_counter()
        compute_features(recording, chosen, leader)
        return len(recording) / (time.perf_counter() - start)

    def reference() -> float:
        start = time.perf_counter()
        reference_features(part.events, chosen, depth=part.depth, leader=part.events)
        return len(part) / (time.perf_counter() - start)

    return ratio(
        chosen.name, paired(native, reference, 5), peer_name="numpy reference", unit="events/s", smaller_wins=False
    )
