"""What `ringcraft status` says of alarms and divergence."""

import pytest
from console_sample import snapshot

from ringcraft.commands.status import show


def test_alarm_and_divergence_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    show(snapshot())
    lines = " ".join(capsys.readouterr().out.split())
    assert "ALARM drift since decision 15,820: outputs of the last 500 answers" in lines
    assert "share since decision" not in lines
    apart = "version 7 against champion 5: acts differently on 18.4% of 1,612 decisions, outputs 0.214 bps apart"
    assert f"{apart}, rank correlation 0.71; 28 dropped" in lines
    assert "CFFEX:IH2106" not in lines
