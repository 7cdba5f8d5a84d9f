"""How a command ends: exit codes, and the one line that bad input gets."""

import sys
from typing import Final, NoReturn

from data_contracts.errors import (
    MissingDependencyError,
    RegistryUnavailableError,
    RingcraftError,
    StoreUnavailableError,
)

DONE: Final = 0
NOT_SO: Final = 1
"""The thing asked about is not so: a check failed, a verdict is negative."""
WRONG_USE: Final = 2
MISSING: Final = 3
"""Something needed is not there: a server, a program, an extra."""
INTERRUPTED: Final = 130


def exit_code_of(error: RingcraftError) -> int:
    """Return the exit code that tells a script what kind of failure `error` is."""
    if isinstance(error, MissingDependencyError | RegistryUnavailableError | StoreUnavailableError):
        return MISSING
    return WRONG_USE


def fail(error: RingcraftError) -> NoReturn:
    """Print the error's one line on stderr and end the process with its code."""
    line = " ".join(str(error).split())
    sys.stderr.write(f"ringcraft: {line}\n")
    sys.exit(exit_code_of(error))
