"""How long a decision takes: the worker's own path, from an event in the buffer to its record in the ring."""

import tempfile
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.instrument import Instrument
from data_contracts.journal import Phase
from data_contracts.manifest import read_manifest
from data_contracts.market_event import MarketEvents
from market_data.feature_sets import live_feature_set
from native._native import Route, RoutingTable, Worker
from serving.slots import prepare_version
from serving.told import introduced, told_features, told_limits

_LATENCY_BUDGET_NS = 1_000_000_000


class DecisionLatency(Struct, frozen=True, kw_only=True):
    """Event to decision: mark-outs, features, routing, inference, limits, records; one thread."""

    decisions: int
    p50_us: float
    p99_us: float
    worst_us: float


def measure_decisions(
    folder: Path, instrument: Instrument, events: MarketEvents, *, with_challenger: bool = False
) -> DecisionLatency:
    """Time a verified version over recorded events, as fast as it decides.

    Args:
        folder: files of the version.
        instrument: what the events are of.
        events: MARKET_EVENT, shape (n,); those before the features are warm are not counted.
        with_challenger: the same version once more as challenger with half of the decisions, so that each decision is
            also scored in shadow by the other.

    Raises:
        ModelError: the version cannot be served.
        UsageError: too few events for the features to be warm.
    """
    spent_ns = decision_times_ns(folder, instrument, events, with_challenger=with_challenger)
    p50_us, p99_us, worst_us = (np.quantile(spent_ns, (0.5, 0.99, 1.0)) / 1000).tolist()
    return DecisionLatency(decisions=len(spent_ns), p50_us=p50_us, p99_us=p99_us, worst_us=worst_us)


def decision_times_ns(
    folder: Path, instrument: Instrument, events: MarketEvents, *, with_challenger: bool = False
) -> NDArray[np.int64]:
    """Return each decision's time as `measure_decisions` takes it, shape (decisions,); same arguments, same errors."""
    with tempfile.TemporaryDirectory(prefix="ringcraft-latency-") as scratch:
        spent_ns = _replay(Path(scratch), folder, instrument, events, with_challenger=with_challenger)
    if not len(spent_ns):
        raise UsageError(f"latency: expected events enough for warm features, got {len(events)}")
    return spent_ns


def _replay(
    scratch: Path, folder: Path, instrument: Instrument, events: MarketEvents, *, with_challenger: bool
) -> NDArray[np.int64]:
    routing = str(scratch / "routing.shm")
    table = RoutingTable.create(routing)
    route = Route(
        model=0,
        rollout_id=1,
        champion_slot=0,
        champion_version=1,
        challenger_slot=1 if with_challenger else 255,
        challenger_version=2 if with_challenger else 0,
        share_bps=5000 if with_challenger else 0,
        phase=int(Phase.AB if with_challenger else Phase.IDLE),
    )
    table.publish([route])
    table.beat()
    worker = Worker(journal_folder=str(scratch / "journal"), rings_path=str(scratch / "rings"), routing_path=routing)
    warm_up = _hold(worker, folder, slots=2 if with_challenger else 1)
    packed = np.frombuffer(np.ascontiguousarray(events).tobytes(), np.uint8)
    spent_ns = worker.replay([introduced(instrument)], packed)
    worker.stop()
    return spent_ns[warm_up:]


def _hold(worker: Worker, folder: Path, *, slots: int) -> int:
    """Fill the slots with one version; return after how many events it decides."""
    manifest = read_manifest(folder)
    live = live_feature_set(manifest.feature_set, manifest.features)
    worker.set_model(
        index=0,
        name=manifest.model,
        **told_features(manifest.feature_set, manifest.features),
        instruments=[],
        horizon_ns=manifest.label.horizon_ns,
        entry_latency_ns=0,
        min_interval_ns=0,
        late_or_failed_of_64=64,
        output_abs_max=float("inf"),
        loss_budget_bps=float("inf"),
        window=manifest.window,
    )
    for slot in range(slots):
        ready = prepare_version(folder, model=manifest.model, live=live)
        worker.set_slot(
            model=0,
            slot=slot,
            version=slot + 1,
            expected_bps=manifest.rule.kind == "expected_bps",
            threshold=manifest.rule.threshold,
            latency_budget_ns=_LATENCY_BUDGET_NS,
            live=ready.live,
            shadow=ready.shadow,
            **told_limits(manifest),
        )
    return live.warm_up_events + manifest.window - 1
