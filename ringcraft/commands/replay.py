"""ringcraft replay."""

import sys
import time
from pathlib import Path
from typing import Any, Literal

import click

from data_contracts.errors import UsageError
from data_contracts.recording import Recording
from ringcraft.commands.options import (
    account_option,
    depth_option,
    format_option,
    json_option,
    publish_option,
    refuse_idle_depth,
)
from ringcraft.exits import DONE
from ringcraft.parquet import refuse_missing_folder, write_table
from ringcraft.terminal import out, print_json, progress, table


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@format_option
@click.option(
    "--instrument",
    "instruments",
    multiple=True,
    help="VENUE:SYMBOL, where a source holds several; may be repeated; all: every one of them.",
)
@click.option("--book", type=click.Path(path_type=Path), help="Parquet file: one row per change of the touch.")
@click.option(
    "--at",
    "times",
    type=click.Path(path_type=Path),
    help="For --book: CSV of times in ns, UTC; one row each, the state at that time.",
)
@click.option("--features", type=click.Path(path_type=Path), help="Parquet file: one feature vector per event.")
@click.option(
    "--feature-set",
    "set_name",
    default=None,
    help="For --features: a name, lead_lag_v1=LEADER, or a fitted set's file; default: touch_v1 where there are sizes.",
)
@click.option(
    "--leader", "leader_source", type=click.Path(path_type=Path), default=None, help="Of the leader; default: SOURCE."
)
@publish_option
@depth_option
@click.option(
    "--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Times real time; 0: flat out."
)
@account_option
@click.option(
    "--arm",
    type=click.Choice(["champion", "challenger"]),
    default=None,
    help="With --publish, for tests: ask for this arm; needs serving.allow_arm_override.",
)
@json_option
def replay(
    sources: tuple[Path, ...],
    format_name: str | None,
    instruments: tuple[str, ...],
    book: Path | None,
    times: Path | None,
    features: Path | None,
    set_name: str | None,
    leader_source: Path | None,
    address: str | None,
    depth: bool,
    speed: float,
    account: str | None,
    arm: Literal["champion", "challenger"] | None,
    as_json: bool,
) -> None:
    """Read recordings, files or folders, in event time; count them, store them, or feed a running tier.

    Several are merged by time; the same input gives the same bytes, in whatever order it is named.
    """
    from market_data.feature_sets import default_feature_set, feature_set_of, needs_depth
    from market_data.merging import digest, read_many
    from market_data.replay import book_table, features_table, read_times, summarise

    _refuse_idle({"--account": account, "--arm": arm}, address)
    refuse_idle_depth(depth, address)
    if times and not book:
        raise UsageError("--at: expected --book too, which says where the states go")
    if book and features and book.resolve() == features.resolve():
        raise UsageError(f"--book, --features: expected a file each, got {book} for both")
    for name, path in (("--book", book), ("--features", features)):
        if path:
            refuse_missing_folder(name, path)
            _refuse_input(
                name, path, [*sources, *([times] if times else []), *([leader_source] if leader_source else [])]
            )
    times_ns = read_times(times) if times else None
    start = time.perf_counter()
    chosen = feature_set_of(set_name) if set_name else None
    levels = depth or (chosen is not None and needs_depth(chosen))
    recordings = read_many(sources, format=format_name, instruments=instruments, depth=levels)
    for name, path in (("--book", book), ("--features", features)):
        if path:
            _refuse_input(name, path, [recording.source for recording in recordings])
    if depth:
        _refuse_without_levels(recordings)
    answer: dict[str, Any] = summarise(recordings, seconds=time.perf_counter() - start)
    answer["digest"] = digest(recordings)
    if book:
        write_table(book_table(recordings, times_ns), book)
    if features:
        chosen = chosen or default_feature_set(recordings)
        beside = (leader_source,) if leader_source else sources
        said = None if leader_source else format_name
        leader = read_many(beside, format=said, instruments=(chosen.leader,)) if chosen.leader else ()
        write_table(features_table(recordings, chosen, leader), features)
    if address:
        answer["published"] = _publish(recordings, address, speed=speed, account=account, arm=arm)
    _print(answer, as_json)
    sys.exit(DONE)


def _refuse_idle(given: dict[str, str | None], address: str | None) -> None:
    for name, value in given.items():
        if value is not None and address is None:
            raise UsageError(f"{name}: expected --publish too, got it alone")


def _refuse_input(name: str, path: Path, read: list[Path]) -> None:
    """Refuse to write over what is read."""
    if path.resolve() in [each.resolve() for each in read]:
        raise UsageError(f"{name}: {path}: expected another file than what is read")


def _refuse_without_levels(recordings: tuple[Recording, ...]) -> None:
    flat = sorted({recording.instrument.symbol for recording in recordings if recording.depth is None})
    if flat:
        raise UsageError(f"--depth: expected recordings with levels, got none of {', '.join(flat)}")


def _publish(
    recordings: tuple[Recording, ...],
    address: str,
    *,
    speed: float,
    account: str | None,
    arm: Literal["champion", "challenger"] | None,
) -> dict[str, Any]:
    import msgspec

    from market_data.publish import publish

    with progress() as bars:
        bar = bars.add_task("publishing", total=sum(len(recording) for recording in recordings), note="")
        sent = publish(
            recordings,
            address,
            speed=speed,
            on_progress=lambda done, _total: bars.update(bar, completed=done),
            account=account,
            arm=arm,
        )
    answer: dict[str, Any] = msgspec.to_builtins(sent)
    return answer


def _print(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    out.print(
        f"{answer['messages']:,} messages, {answer['events_per_second']:,.0f} events/s, digest {answer['digest'][:16]}"
    )
    rows = [(kind, name, count) for kind in ("by_type", "skipped", "states") for name, count in answer[kind].items()]
    table("What was read", ("of", "name", "count"), rows)
    if "published" in answer:
        out.print(f"published: {answer['published']}")
