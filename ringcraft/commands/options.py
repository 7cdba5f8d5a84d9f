"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

FORMATS = ("archive", "binance-ws", "cffex-ticks", "itch50", "kraken-ws", "lobster", "moldudp64", "quotes", "sse-l3")
"""Those of market_data.reading, spelt out so that help needs not load them."""


def config_option(function: _F) -> _F:
    """Add --config."""
    return click.option(
        "--config", type=click.Path(path_type=Path), default=None, help="Settings file; default: ringcraft.toml here."
    )(function)


def json_option(function: _F) -> _F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(function)


def source_options(function: _F) -> _F:
    """Add SOURCE, --format and --instrument."""
    function = click.option("--instrument", default=None, help="VENUE:SYMBOL, where the source holds several.")(
        function
    )
    function = click.option(
        "--format", "format_name", type=click.Choice(FORMATS), default=None, help="Of the recording; default: detected."
    )(function)
    return click.argument("source", type=click.Path(path_type=Path))(function)
