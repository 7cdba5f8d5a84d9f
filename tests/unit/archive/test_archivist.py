"""The archivist runs its command in a process of its own, again and again, and ends with the tier."""

import sys
import time
from pathlib import Path

from serving.archive.archivist import Archivist

APPEND = "import sys; open(sys.argv[1], 'a').write('x')"


def test_it_runs_at_once_and_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with Archivist([sys.executable, "-S", "-c", APPEND, str(mark)], every_s=0.05):
        end = time.monotonic() + 20
        while (not mark.exists() or len(mark.read_text()) < 2) and time.monotonic() < end:
            time.sleep(0.05)
    assert len(mark.read_text()) >= 2


def test_a_command_under_way_ends_with_the_tier(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-S",
        "-c",
        "import sys, time; open(sys.argv[1], 'w'); time.sleep(60)",
        str(tmp_path / "m"),
    ]
    archivist = Archivist(command, every_s=0.01)
    archivist.start()
    end = time.monotonic() + 20
    while not (tmp_path / "m").exists() and time.monotonic() < end:
        time.sleep(0.05)
    began = time.monotonic()
    archivist.stop()
    assert time.monotonic() - began < 8


def test_a_command_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    with Archivist([str(tmp_path / "no-such-program")], every_s=0.01):
        time.sleep(0.3)
