"""ringcraft simulate: what it lists, writes, says and refuses; replay reads it back."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_contracts.errors import UsageError
from market_data.tapes.named import TAPES
from market_data.tapes.truth import read_tape_truth
from ringcraft.commands.replay import replay
from ringcraft.commands.simulate import simulate


def answer(command: object, *arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(command, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_list_names_every_tape() -> None:
    assert set(answer(simulate, "--list")) == set(TAPES)
    assert {tape["kind"] for tape in answer(simulate, "--list")["feed-gap"]["what"]} == {"gap"}


def test_simulated_packets_are_replayed_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "gap.pcap"
    said = answer(simulate, path, "--tape", "feed-gap", "--seed", 3)
    truth = read_tape_truth(path)
    assert (said["messages"], said["sha256"], said["format"]) == (truth.messages, truth.sha256, "moldudp64")
    read = answer(replay, path, "--instrument", "SIM:RING")
    assert read["gaps"] == 1
    assert read["skipped"]["missed_message"] == truth.injected[2].messages
    assert read["messages"] == truth.messages - truth.injected[2].messages


def test_options_shape_the_tape(tmp_path: Path) -> None:
    options = ["--seconds", 30, "--activity", 5, "--stocks", 2, "--format", "moldudp64"]
    answer(simulate, tmp_path / "a.pcap", "--tape", "calm", *options)
    truth = read_tape_truth(tmp_path / "a.pcap")
    assert truth.tape.seconds == 30
    assert truth.tape.flow.activity == 5
    assert [stock.symbol for stock in truth.stocks] == ["SIM:RING", "SIM:RING2"]
    assert truth.messages > 30 * 5 * 2 * 20


def test_what_is_missing_or_wrong_is_said(tmp_path: Path) -> None:
    for arguments, message in (
        ([], "PATH: expected the file to write"),
        ([str(tmp_path / "x"), "--tape", "storm"], "--tape: expected calm, "),
        ([str(tmp_path / "x"), "--tape", "feed-gap", "--format", "itch50"], "expected format moldudp64"),
        ([str(tmp_path / "x"), "--activity", "0"], r"flow\.activity: expected over 0"),
    ):
        with pytest.raises(UsageError, match=message):
            CliRunner().invoke(simulate, arguments, catch_exceptions=False)


def test_text_shows_edge_and_injections(tmp_path: Path) -> None:
    result = CliRunner().invoke(simulate, [str(tmp_path / "halt.itch50"), "--tape", "halt-and-reopen"])
    assert result.exit_code == 0
    assert "edge: 0.984 ticks in 5 s" in result.output
    halt = read_tape_truth(tmp_path / "halt.itch50").injected[1]
    assert any("halt" in line and f"{halt.first_message:,}" in line for line in result.output.splitlines())
