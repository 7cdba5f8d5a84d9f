"""What `ringcraft status` says of alarms and divergence."""

from pathlib import Path

import pytest
from console_sample import snapshot

from ringcraft.commands.status import show
from serving.doors.ports import listening, state_ports


def test_alarm_and_divergence_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    show(snapshot())
    lines = " ".join(capsys.readouterr().out.split())
    assert "ALARM drift since decision 15,820: outputs of the last 500 answers" in lines
    assert "share since decision" not in lines
    apart = "version 7 against champion 5: acts differently on 18.4% of 1,612 decisions, outputs 0.214 bps apart"
    assert f"{apart}, rank correlation 0.71; 28 dropped" in lines
    assert "CFFEX:IH2106" not in lines


def test_doors_are_told_with_their_ports(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show(snapshot())
    said = " ".join(capsys.readouterr().out.split())
    assert "worker-0: alive; feed port 8083, rest 8080, grpc 8081, zeromq 8082, zeromq publish 8084; " in said
    state_ports(tmp_path, "zeromq", port=8082, publish_port=8084)
    state_ports(tmp_path, "grpc", port=8081)
    (tmp_path / "doors" / "grpc.counters.json").write_text('{"requests":0}')
    assert listening(tmp_path) == {"grpc": 8081, "zeromq": 8082, "zeromq_publish": 8084}
    assert listening(tmp_path / "none") == {}
