"""ringcraft pnl."""

from pathlib import Path

import click
import msgspec

from data_contracts.errors import JournalError
from data_contracts.policy import Policy, read_policy
from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option
from ringcraft.terminal import moment, out, print_json, table
from serving.outcomes.cells import DEFAULT_BY, Row, columns_of, table_by
from serving.outcomes.ledger import book_of, current_book

_SUMS = ("decisions", "trades", "paper", "mean bps", "sum bps", "realised", "mean bps", "sum bps", "USD", "fills")


@click.command()
@click.argument("journal", type=click.Path(path_type=Path), required=False)
@click.option("--by", default=DEFAULT_BY, show_default=True, help="Columns: model, version, arm, instrument, hour.")
@config_option
@json_option
def pnl(journal: Path | None, by: str, config: Path | None, as_json: bool) -> None:
    """Show what every version earned: mark-outs (paper) beside what the trading system posted (realised).

    Of the tier whose settings are here, or of JOURNAL. After costs, in bps, every trade weighing the same.
    """
    columns = columns_of(by)
    settings = load_settings(config)
    policy_file = settings.serving.policy
    policy = read_policy(policy_file) if policy_file.exists() else Policy()
    if journal is None:
        book = current_book(settings.state_dir, policy.reconciliation)
    elif journal.exists():
        book = book_of(journal, policy.reconciliation)
    else:
        raise JournalError(f"{journal}: expected a journal folder or segment, found no such path")
    rows = table_by(book.cells.items(), columns)
    if as_json:
        readings = [{**msgspec.to_builtins(one), "text": one.text} for one in book.readings()]
        print_json({"by": columns, "rows": [_plain(row) for row in rows], "outcomes": book.counts(),
                    "begins_with_record": book.state.begins,
                    "reconciliation": readings})  # fmt: skip
        return
    table("PnL after costs, paper then realised", (*columns, *_SUMS), [_cells(row, columns) for row in rows])
    if book.state.begins:
        out.print(
            f"note: adds up from record {book.state.begins:,} on; what came before was archived and removed: "
            "`ringcraft decisions` has it"
        )
    for one in book.readings():
        out.print(f"{one.model} version {one.version}: {'ALARM: ' if one.raised else ''}{one.text}", markup=False)


def _plain(row: Row) -> dict[str, object]:
    means = {"paper_mean_bps": row.paper_mean_bps, "realised_mean_bps": row.realised_mean_bps}
    return {**msgspec.to_builtins(row), **means}


def _cells(row: Row, columns: tuple[str, ...]) -> tuple[object, ...]:
    sums = row.sums
    named = [_named(name, getattr(row, name)) for name in columns]
    paper = (sums.paper, _bps(row.paper_mean_bps), f"{sums.paper_bps:+,.1f}" if sums.paper else "")
    realised = (sums.realised, _bps(row.realised_mean_bps), f"{sums.realised_bps:+,.1f}" if sums.realised else "")
    usd = f"{sums.realised_usd:+,.2f}" if sums.in_usd else ""
    return (*named, sums.decisions, sums.trades, *paper, *realised, usd, sums.fills)


def _named(name: str, value: object) -> object:
    if name == "hour":
        return moment(int(str(value))) if value else "earlier"
    return str(value)


def _bps(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"
