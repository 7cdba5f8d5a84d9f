"""A format of one's own: the documented example is run, by its class and as an entry point; faults are one line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import EventFlag
from market_data import feed_format
from market_data.reading import read_recordings

LOG = """\
1430438404518 order_created {"price": "236.47", "amount": "2.00000000", "id": 1, "order_type": 0}
1430438404600 order_created {"price": "236.90", "amount": "0.50000000", "id": 2, "order_type": 1}
1430438404635 order_changed {"price": "236.47", "amount": "1.78855669", "id": 1, "order_type": 0}
1430438404637 order_deleted {"price": "236.47", "amount": "0.00000000", "id": 9, "order_type": 1}
1430438404645 trade {"price": 236.47, "amount": 1.7885566900000001, "id": 8111041}
"""


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    docs = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
    name = f"my_feeds_{tmp_path.name.replace('-', '_')}"  # a module is imported once a run
    (tmp_path / f"{name}.py").write_text(docs.split("```python\n")[1].partition("```")[0])
    monkeypatch.syspath_prepend(tmp_path)
    feed_format.registered.cache_clear()
    yield tmp_path / f"{name}.py"
    feed_format.registered.cache_clear()


def test_documented_example_reads_its_log_by_its_class(example: Path) -> None:
    path = example.with_name("day.log")
    path.write_text(LOG)
    (day,) = read_recordings(path, format=f"{example.stem}:BitstampLog")
    touch = day.events[["bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]].tolist()
    assert touch == [
        (23_647, 200_000_000, 0, 0),
        (23_647, 200_000_000, 23_690, 50_000_000),
        (23_647, 178_855_669, 23_690, 50_000_000),
        (23_647, 178_855_669, 23_690, 50_000_000),
    ]
    assert day.events["trade_lots"].tolist() == [0, 0, 0, -178_855_669]
    assert day.skipped == {"unknown_order": 1}
    path.write_text(LOG + "nonsense\n")
    with pytest.raises(FormatError, match="row 6: expected time, event, JSON, got nonsense"):
        read_recordings(path, format=f"{example.stem}:BitstampLog")


def test_registered_format_is_found_by_itself_and_by_name(example: Path) -> None:
    about = example.with_name("my_feeds-1.0.dist-info")
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-feeds\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[ringcraft.formats]\nbitstamp-log = {example.stem}:BitstampLog\n")
    path = example.with_name("day.log")
    path.write_text(LOG)
    assert len(read_recordings(path)[0]) == len(read_recordings(path, format="bitstamp-log")[0]) == 4
    with pytest.raises(
        UsageError, match=r"expected one of archive, .*taq, bitstamp-log, package.module:Class, got 'x'"
    ):
        read_recordings(path, format="x")


def test_real_log_is_read_with_what_it_lacks_counted(example: Path, test_data: Path) -> None:
    source = test_data / "bitstamp-l3-20150501" / "2015-05-01.log.xz"
    (day,) = read_recordings(source, format=f"{example.stem}:BitstampLog")
    assert len(day) > 3_000
    assert set(day.skipped) <= {"unknown_order", "out_of_order", "order_book"}
    assert (day.events["flags"] & int(EventFlag.GAP)).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Class", "cannot be loaded: ModuleNotFoundError"),
        ("json:Nothing", "cannot be loaded: AttributeError"),
        ("json:JSONDecoder", "expected claims and read, got no claims and no read"),
        ("pathlib:Path.cwd", "expected claims and read"),
    ],
)
def test_what_is_no_format_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_recordings(tmp_path, format=name)
