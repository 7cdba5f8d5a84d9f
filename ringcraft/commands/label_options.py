"""The label's options, shared by the commands that learn."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:  # for types alone: help needs not load them
    from models.labels import LabelConfig

_F = TypeVar("_F", bound=Callable[..., Any])

KINDS = ("mid_move", "smoothed_mid", "spread_aware", "triple_barrier", "markout")


def label_options(function: _F) -> _F:
    """Add --label, --label-bps, --label-spreads and --horizon-events."""
    added = (
        click.option("--label", "label_kind", type=click.Choice(KINDS), default="mid_move", show_default=True),
        click.option(
            "--label-bps",
            type=click.FloatRange(min=0),
            default=None,
            help="Beyond it a move is up or down; default: half the median spread, for markout 0.",
        ),
        click.option(
            "--label-spreads",
            type=click.FloatRange(min=0, min_open=True),
            default=1.0,
            show_default=True,
            help="The same in spreads as they stand, for spread_aware and triple_barrier.",
        ),
        click.option(
            "--horizon-events", type=click.IntRange(min=1), default=None, help="Horizon in events instead of seconds."
        ),
    )
    for option in reversed(added):
        function = option(function)
    return function


def label_of(kind: str, bps: float | None, spreads: float, events: int | None) -> "LabelConfig":
    """Return the label that the options mean."""
    import msgspec

    from models.labels import LabelConfig

    stated = {"kind": kind, "threshold_bps": bps, "spreads": spreads, "horizon_events": events}
    return msgspec.convert(stated, LabelConfig)
