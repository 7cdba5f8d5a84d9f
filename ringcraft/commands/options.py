"""Options that several commands share."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from data_contracts.errors import UsageError

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


def publish_option(function: _F) -> _F:
    """Add --publish, told as `address`."""
    return click.option("--publish", "address", default=None, help="HOST:PORT of a running tier's feed.")(function)


def account_option(function: _F) -> _F:
    """Add --account."""
    told = "With --publish: on whose behalf; policies may assign arms by it."
    return click.option("--account", default=None, help=told)(function)


def depth_option(function: _F) -> _F:
    """Add --depth."""
    told = "With --publish: send the book's levels too, which depth_v1 reads."
    return click.option("--depth", is_flag=True, help=told)(function)


def refuse_idle_depth(depth: bool, where: str | None, *, options: str = "--publish") -> None:
    """Refuse --depth where nothing is named, by any of `options`, that would get the levels.

    Raises:
        UsageError: so it is.
    """
    if depth and where is None:
        raise UsageError(f"--depth: expected {options} too, which says where the levels go")


def format_option(function: _F) -> _F:
    """Add --format (one of the platform's, one that a package registers, or a class) and --columns.

    The command is told both in `format_name`, which says which map is meant wherever the recording is read again.
    """

    @wraps(function)
    def told(*arguments: Any, columns: Path | None, format_name: str | None, **named: Any) -> Any:  # noqa: ANN401
        from market_data.reading import with_columns

        return function(*arguments, format_name=with_columns(format_name, columns) if columns else format_name, **named)

    with_map = click.option(
        "--columns",
        type=click.Path(path_type=Path),
        default=None,
        help="Column map of csv or parquet; default: the one beside the file.",
    )(told)
    return cast(
        _F,
        click.option(
            "--format",
            "format_name",
            default=None,
            metavar="FORMAT",
            help=f"Of the recording: {', '.join(FORMATS)}, or your own as package.module:Class; default: detected.",
        )(with_map),
    )


def source_options(function: _F) -> _F:
    """Add SOURCE, --format, --columns and --instrument."""
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
