"""What native code is told of models, instruments and protection, and what it tells of breakers."""

from decimal import Decimal
from math import inf
from typing import Any

import msgspec

from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.manifest import Manifest
from data_contracts.settings import BreakerSettings, ServingSettings
from market_data.feature_sets import MICROPRICE
from market_data.zones import utc_offsets
from serving.lineup import ModelLineup, Slot, SlotStatus, breaker_words


def with_breakers(
    slots: dict[tuple[int, int], tuple[Slot, SlotStatus]], told: list[tuple[int, int, int, int, int]]
) -> tuple[SlotStatus, ...]:
    """Return how the slots stand, each with its version's breaker as native code tells of it."""
    breakers = {(model, slot, version): breaker_words(state, cause) for model, slot, version, state, cause in told}
    return tuple(
        msgspec.structs.replace(status, breaker=breakers.get((*place, status.version), "closed"))
        for place, (_, status) in slots.items()
    )


def told_features(name: str, stated: FeatureSet | None) -> dict[str, Any]:
    """Return what native code is told of a model's features: the name, and what was fitted or chosen."""
    if stated is None:
        return {"feature_set": name}
    return {"feature_set": name, "microprice_ticks": stated.tables.get(MICROPRICE, ()), "leader": stated.leader}


def told_limits(manifest: Manifest) -> dict[str, Any]:
    """Return what native code is told of a version's feature limits."""
    return {} if manifest.limits is None else {"low": manifest.limits.low, "high": manifest.limits.high}


def introduced(instrument: Instrument) -> tuple[str, float, int, str, float, tuple[tuple[int, int], ...]]:
    """Return what native code is told of an instrument.

    Symbol, fee, staleness, currency, worth of a lot a tick, and when its clocks change.
    """
    lot_tick = Decimal(instrument.tick_size) * Decimal(instrument.lot_size)
    worth = float(lot_tick) * instrument.multiplier
    offsets = utc_offsets(instrument.time_zone)
    return instrument.symbol, instrument.fee_bps, instrument.stale_after_ns, instrument.currency, worth, offsets


def told_protection(serving: ServingSettings) -> dict[str, Any]:
    """Return what native code is told of who may ask, and how much."""
    keys = [
        (
            key.name,
            key.secret.get_secret_value(),
            "read" in key.scopes,
            "infer" in key.scopes,
            key.requests_per_second or inf,
        )
        for key in serving.api_keys
    ]
    return {
        "rest_keys": keys,
        "instrument_requests_per_second": serving.instrument_requests_per_second or inf,
        "shed_after_ns": [after_us * 1000 for after_us in serving.shed_after_us],
        "concurrency": (serving.in_flight_max.rest or 0, tuple(serving.model_limits.items())),
        "breakers": told_breakers(serving.breakers),
    }


def told_breakers(breakers: BreakerSettings) -> tuple[int, int, int, int, int, bool]:
    """Return what native code is told of what opens a version's breaker."""
    return (
        breakers.failed_of_64,
        breakers.late_of_64,
        breakers.same_in_a_row,
        breakers.probes,
        breakers.open_ms * 1_000_000,
        breakers.champion_open == "last_champion",
    )


def told_model_limits(model: ModelLineup) -> dict[str, Any]:
    """Return what native code is told of limits that need not be set."""
    limits = {
        "drawdown_budget_bps": model.drawdown_budget_bps,
        "position_lots_max": model.position_lots_max,
        "notional_max": model.notional_max,
        "decisions_per_second_max": model.decisions_per_second_max,
        "model_age_max_ns": model.model_age_max_ns,
    }
    told = {name: limit for name, limit in limits.items() if limit is not None}
    return told | {"extra_horizons_ns": model.extra_horizons_ns}
