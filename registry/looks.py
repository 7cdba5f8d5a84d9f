"""When the registry was last looked at, kept over a restart: what came after it was seen by nobody."""

import os
from pathlib import Path


class LastLook:
    """One number in a small file, overwritten in place at every look; one process writes it.

    Not fsynced: after a power cut an older look is read, which makes a gap longer than it was, never shorter.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, made with its folder where absent."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        text = os.pread(self._file, 32, 0).strip()
        self.at_ns: int | None = int(text) if text.isdigit() else None
        """Our clock; None: never."""

    def mark(self, at_ns: int) -> None:
        """Keep that a look was taken."""
        os.pwrite(self._file, b"%020d\n" % at_ns, 0)
        self.at_ns = at_ns

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
