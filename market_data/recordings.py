"""Parts of several recordings taken as one."""

from collections.abc import Sequence

from data_contracts.recording import Recording


def first_share(recordings: Sequence[Recording], share: float) -> tuple[Recording, ...]:
    """Return the first `share` of all events, as recordings; the one the cut falls into is shortened."""
    left, parts = round(share * sum(len(recording) for recording in recordings)), []
    for recording in recordings:
        if left > 0:
            parts.append(recording.part(0, min(left, len(recording))))
            left -= len(recording)
    return tuple(parts)


def after(recordings: Sequence[Recording], event_ns: int) -> tuple[Recording, ...]:
    """Return the events later than a time, as recordings; those without any are left out."""
    found = []
    for recording in recordings:
        start = int((recording.events["event_ns"] <= event_ns).sum())
        if start < len(recording):
            found.append(recording if not start else recording.part(start, len(recording)))
    return tuple(found)
