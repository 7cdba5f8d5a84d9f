"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

FORMATS = (
    "archive", "binance-ws", "cffex-ticks", "csv", "dbn", "itch50", "kraken-ws", "lobster", "moldudp64", "parquet",
    "quotes", "sse-l3", "taq",
)  # fmt: skip
"""Those of market_data.reading, spelt out so that help needs not load them."""


def config_option(function: _F) -> _F:
    """Add --config."""
    return click.option(
        "--config", type=click.Path(path_type=Path), default=None, help="Settings file; default: ringcraft.toml here."
    )(function)


def json_option(function: _F) -> _F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(function)


def format_option(function: _F) -> _F:
    """Add --format: one of the platform's, one that a package registers, or a class."""
    return click.option(
        "--format",
        "format_name",
        default=None,
        metavar="FORMAT",
        help=f"Of the recording: {', '.join(FORMATS)}, or your own as package.module:Class; default: detected.",
    )(function)


def columns_option(function: _F) -> _F:
    """Add --columns."""
    return click.option(
        "--columns",
        type=click.Path(path_type=Path),
        default=None,
        help="Column map of csv or parquet; default: the one beside the file.",
    )(function)


def source_options(function: _F) -> _F:
    """Add SOURCE, --format and --instrument."""
    return _source(function, required=True)


def optional_source_options(function: _F) -> _F:
    """Add them with a SOURCE that may be left out."""
    return _source(function, required=False)


def _source(function: _F, *, required: bool) -> _F:
    function = click.option("--instrument", default=None, help="VENUE:SYMBOL, where the source holds several.")(
        function
    )
    function = format_option(function)
    return click.argument("source", type=click.Path(path_type=Path), required=required)(function)
