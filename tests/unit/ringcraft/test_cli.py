"""The command line as a stranger meets it."""

import gzip
import json
import subprocess
import sys
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import pyarrow.parquet as pq
import pytest
from support import captures
from support.cli import one_line, ringcraft

from data_contracts.policy import Policy
from data_contracts.settings import Settings, load_settings
from market_data import reading
from market_data.simulator import simulate
from ringcraft.cli import COMMANDS, main
from ringcraft.cli import ringcraft as group
from ringcraft.commands import options
from ringcraft.commands.init import policy_template, settings_template
from ringcraft.ports import free_port


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command line in this process, in `tmp_path`: quick, for commands that start nothing."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["ringcraft", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = ringcraft(command, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: ringcraft {command}")
    assert len(result.stdout.splitlines()) > 4


def test_help_comes_in_a_blink() -> None:
    heavy = "import ringcraft.cli, sys; print({'torch', 'mlflow', 'prefect', 'numpy'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["judge", "missing", "--policy", "missing.toml"], "missing: expected a journal"),
        (["serve", "--config", "missing.toml"], "settings file missing.toml: no such file"),
        (["replay", "missing"], "missing"),
        (["train", "missing", "--model", "m"], "missing"),
        (["demo", "--data", "missing"], "missing"),
        (
            [
                "publish",
                "missing.onnx",
                "--model",
                "m",
                "--feature-set",
                "touch_v1",
                "--golden",
                "g",
                "--threshold",
                "1",
                "--horizon-s",
                "1",
            ],
            "missing.onnx",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments: list[str], expected: str, tmp_path: Path) -> None:
    result = ringcraft(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[serving\n", "Expected ']'"),
        ("nonsense = 1\n", "nonsense: Extra inputs are not permitted"),
        ('[serving]\nfeed_port = "many"\n', "serving.feed_port"),
        ("[serving]\nfeed_port = 70000\n", "less than or equal to 65535"),
        ('[mlflow]\nuri = "http://127.0.0.1:port"\n', "mlflow.uri"),
        ('[mlflow]\nuri = "https://elsewhere.example:5000"\n', "`ringcraft serve` is enough"),
        ('[mlflow]\nuri = "http://127.0.0.1:FREE"\n[serving]\nhost = "999.1.1.1"\n', "999.1.1.1"),
    ],
)
def test_wrong_settings_are_refused_before_anything_starts(text: str, expected: str, typed, tmp_path: Path) -> None:
    (tmp_path / "ringcraft.toml").write_text(text.replace("FREE", str(free_port())))
    result = typed("up")
    assert result.returncode == 2
    assert expected in one_line(result)
    assert [path.name for path in tmp_path.iterdir()] == ["ringcraft.toml"]


def test_settings_that_are_no_text_are_refused(typed, tmp_path: Path) -> None:
    (tmp_path / "ringcraft.toml").write_bytes(b"\xff\xfe")
    result = typed("status")
    assert result.returncode == 2
    assert "ringcraft.toml" in one_line(result)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[guardrails.pnl]\nerror_rate = 0.2\n", "error_rate"),
        ("[guardrails.pnl]\nerror_rate = 0.04\n", "0.05"),
        ("[guardrails.pnl]\nerror_rate = nan\n", "error_rate"),
        ('[rollout]\nmax_decisions = "many"\n', "max_decisions"),
        ("[rollout]\nsteps = []\n", "rollout.steps"),
        ("nonsense = 1\n", "nonsense"),
        ("[[[\n", "not TOML"),
    ],
)
def test_policy_that_cannot_be_followed_is_refused(text: str, expected: str, typed, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "policy.toml").write_text(text)
    result = typed("judge", "journal", "--policy", "policy.toml")
    assert result.returncode == 2
    assert expected in one_line(result)


@pytest.fixture(scope="module")
def itch(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("itch") / "day.itch50"
    simulate(path, seed=3, events=500)
    return path.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "garbled", "noise", "empty", "gzip cut", "gzip noise"])
def test_damaged_recording_is_refused_and_named(itch: bytes, damage: str, typed, tmp_path: Path) -> None:
    half = len(itch) // 2
    name = "day.itch50.gz" if damage.startswith("gzip") else "day.itch50"
    content = {
        "cut": itch[: half + 7],
        "garbled": itch[:half] + b"\xff" * 999 + itch[half + 999 :],
        "noise": bytes(range(256)) * 40,
        "empty": b"",
        "gzip cut": gzip.compress(itch)[:-99],
        "gzip noise": b"\x1f\x8b" + bytes(range(256)) * 40,
    }[damage]
    (tmp_path / name).write_bytes(content)
    result = typed("replay", name)
    assert result.returncode == 2
    assert one_line(result).startswith(f"ringcraft: {name}: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["init", "--folder", "file/inside"],
        ["init", "--folder", "file"],
        ["demo", "--work", "file"],
        ["demo", "--work", "file/inside"],
        ["judge", "file", "--policy", "policy.toml"],
        ["judge", ".", "--policy", "."],
        ["serve"],
    ],
)
def test_file_where_a_folder_is_expected_is_named(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "policy.toml").touch()
    (tmp_path / "ringcraft.toml").write_text(
        'state_dir = "file/state"\n[serving]\nfeed_port = 0\nrest_port = 0\nconsole_port = 0\n'
    )
    result = ringcraft(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "file" in one_line(result) or ".: " in one_line(result)


def test_asking_a_tier_that_does_not_run_exits_three(tmp_path: Path) -> None:
    (tmp_path / "ringcraft.toml").write_text("[serving]\nconsole_port = 9\n")
    for arguments in (["status"], ["promote", "m"], ["rollback", "m", "--dry-run"]):
        result = ringcraft(*arguments, cwd=tmp_path)
        assert result.returncode == 3
        assert "no serving tier answers" in result.stderr


def test_init_writes_files_that_mean_the_defaults(tmp_path: Path) -> None:
    assert ringcraft("init", cwd=tmp_path).returncode == 0
    assert load_settings(tmp_path / "ringcraft.toml").model_dump() == Settings().model_dump()
    again = ringcraft("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "already there" in again.stderr


def test_policy_template_spells_out_every_default() -> None:
    table = tomllib.loads(policy_template())
    assert msgspec.convert(table, Policy) == Policy()
    # TOML has no word for None, which says that there is no limit.
    assert {key: set(value) for key, value in table.items()} == {
        key: {name for name, default in value.items() if default is not None}
        for key, value in msgspec.to_builtins(Policy()).items()
    }


def test_limits_that_the_policy_template_leaves_unset_are_in_it_as_comments() -> None:
    section = policy_template().partition("[limits]")[2].partition("\n[")[0]
    offered = [line.removeprefix("# ") for line in section.splitlines() if line.startswith("# ") and " = " in line]
    limits = tomllib.loads("\n".join(offered))
    unset = {name for name, default in msgspec.to_builtins(Policy().limits).items() if default is None}
    assert set(limits) == unset
    assert msgspec.convert({"limits": limits}, Policy).limits.position_lots_max == 10


def test_settings_template_uncommented_is_valid() -> None:
    commented = settings_template()
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line else line for line in commented.splitlines()
    ]
    values = [line for line in lines if not line.startswith("#") and " = ..." not in line]
    tables = "\n".join(values).partition("name =")[0]
    assert tomllib.loads(tables)["serving"]["console_port"] == 8090


def test_help_is_quick() -> None:
    start = time.perf_counter()
    ringcraft("--help")
    assert time.perf_counter() - start < 5.0


def test_formats_offered_are_those_that_are_read() -> None:
    assert set(options.FORMATS) == set(reading.FORMATS)


def test_captured_packets_are_replayed_to_the_states_at_given_times(tmp_path: Path) -> None:
    simulate(tmp_path / "ring.itch", seed=1, seconds=30)
    messages = captures.itch_messages((tmp_path / "ring.itch").read_bytes())
    start_ns = int(datetime(2026, 1, 5, 14, 30, tzinfo=UTC).timestamp()) * 10**9
    packets = captures.packets(messages, first_ns=start_ns)
    captures.write(tmp_path / "feed.pcapng", captures.pcapng(packets[:20] + packets[22:], resolution=9))
    times = [start_ns - 1, start_ns + 10**9, start_ns + 20 * 10**9]
    (tmp_path / "times.csv").write_text("at_ns\n" + "\n".join(map(str, times)))
    command = ["replay", "feed.pcapng", "--format", "moldudp64", "--instrument", "RING", "--json"]
    result = ringcraft(*command, "--book", "book.parquet", "--at", "times.csv", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert {"messages", "by_type", "skipped", "gaps", "states", "events_per_second"} <= set(summary)
    assert (summary["gaps"], summary["skipped"]["missed_message"]) == (1, 6)
    assert summary["states"]["gap"] > 0
    rows = pq.read_table(tmp_path / "book.parquet").to_pylist()
    assert [row["at_ns"] for row in rows] == times
    assert rows[0]["bid_ticks"] is None
    assert 9_900 < rows[2]["bid_ticks"] < rows[2]["ask_ticks"] < 10_100


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--depth"], "--depth: expected --publish too, which says where the levels go"),
        (["--account", "ana"], "--account: expected --publish too, got it alone"),
        (["--arm", "champion"], "--arm: expected --publish too, got it alone"),
        (
            ["--book", "a.parquet", "--features", "./a.parquet"],
            "--book, --features: expected a file each, got a.parquet",
        ),
        (["--publish", "127.0.0.1:1", "--depth"], "--depth: expected recordings with levels, got none of OANDA:EURUSD"),
    ],
)
def test_replay_refuses_options_that_would_say_nothing(
    test_data: Path, tmp_path: Path, options: list[str], why: str
) -> None:
    day = test_data / "fx-gold-ticks-201405" / "oanda_eurusd" / "20140504_quote.zip"
    result = ringcraft("replay", day, *options, cwd=tmp_path)
    assert result.returncode == 2
    assert why in result.stderr
    assert not list(tmp_path.iterdir())


def test_times_without_a_book_to_write_are_refused(tmp_path: Path) -> None:
    simulate(tmp_path / "ring.itch", seed=1, seconds=5)
    (tmp_path / "times.csv").write_text("5\n")
    result = ringcraft("replay", "ring.itch", "--at", "times.csv", cwd=tmp_path)
    assert result.returncode == 2
    assert "--at: expected --book too" in one_line(result)


def test_label_options_name_every_kind_of_label():
    from ringcraft.commands.label_options import KINDS, label_of

    for kind in KINDS:
        assert label_of(kind, 0.5, 2.0, 3).kind == kind
    with pytest.raises(msgspec.ValidationError):
        label_of("oracle", None, 1.0, None)


def test_evaluate_needs_days_to_test(typed, test_data):
    day = test_data / "fx-gold-ticks-201405" / "oanda_eurusd" / "20140504_quote.zip"
    result = typed("evaluate", str(day), "--family", "logistic", "--format", "quotes")
    assert result.returncode == 2
    assert "walk-forward by day: expected more than 2 days" in one_line(result)


MAP = """
[instrument]
symbol = "VENUE:ABC"
tick_size = "0.01"
lot_size = "1"
currency = "EUR"
[time]
columns = "at"
format = "ns"
[columns]
bid = "bid"
ask = "ask"
"""


def test_every_command_that_reads_a_recording_takes_a_column_map(typed, tmp_path: Path) -> None:
    for name in ("backtest", "demo", "drift", "evaluate", "fit-features", "ingest", "replay", "train"):
        command = group.get_command(click.Context(group), name)
        assert {"format_name", "columns"} <= {each.name for each in command.params}, name
    (tmp_path / "ticks.txt").write_text("at,bid,ask\n" + "".join(f"{at},1.0{at},1.09\n" for at in range(5)))
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "ticks.toml").write_text(MAP)
    done = typed("ingest", "ticks.txt", "--columns", "maps/ticks.toml", "--archive", "archive", "--json")
    assert done.returncode == 0, done.stderr
    (recording,) = reading.read_recordings(tmp_path / "archive")
    assert recording.events["bid_ticks"].tolist() == [100, 101, 102, 103, 104]
    short = typed("evaluate", "ticks.txt", "--columns", "maps/ticks.toml", "--family", "logistic")
    assert "expected more than 2 days" in one_line(short)
    wrong = typed("evaluate", "ticks.txt", "--columns", "maps/ticks.toml", "--format", "itch50")
    assert "--columns: expected format csv or parquet, got itch50" in one_line(wrong)
