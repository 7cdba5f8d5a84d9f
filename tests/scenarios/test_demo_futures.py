"""The whole loop on futures ticks: bad versions come off by themselves, and the journal proves it.

A file of its own, so that it runs beside the other demonstrations and not after them.
"""

from pathlib import Path

import pytest
from support.demonstration import check, run_demo


@pytest.mark.long
@pytest.mark.timeout(600)
def test_bad_versions_come_off_on_futures_ticks(test_data: Path, tmp_path: Path) -> None:
    work = tmp_path / "demo"
    check(run_demo(test_data / "cffex-if-ticks-202101", work), work)
