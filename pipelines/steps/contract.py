"""Reading a recording and holding it against its contract."""

from collections.abc import Sequence
from pathlib import Path

from data_contracts.expectations import ContractReport, check_recording
from data_contracts.limits import RecordingLimits
from data_contracts.quarantine import quarantine
from data_contracts.recording import Recording
from market_data.reading import read_recordings


def read(
    source: Path,
    *,
    format: str | None,  # noqa: A002  the word commands use
    instrument: str | None,
    depth: bool = False,
) -> tuple[Recording, ...]:
    """Return the recordings in `source`, oldest first; with the book's levels where `depth` asks for them."""
    return read_recordings(source, format=format, instrument=instrument, depth=depth)


def hold_to_contract(
    recordings: Sequence[Recording], root: Path, limits: RecordingLimits | None = None
) -> tuple[ContractReport, ...]:
    """Return every recording's report if all keep to their contract.

    Raises:
        QuarantinedError: one does not; it is set aside under `root`/quarantine.
    """
    reports = []
    for recording in recordings:
        report = check_recording(recording, limits)
        if not report.met:
            quarantine(recording, report, root)
        reports.append(report)
    return tuple(reports)
