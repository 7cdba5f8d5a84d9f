"""The command line in processes of its own: the installed program, or where nothing is installed the module."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_INSTALLED = Path(sys.executable).with_name("ringcraft")
PROGRAM = [str(_INSTALLED)] if _INSTALLED.exists() else [sys.executable, "-m", "ringcraft.cli"]


def environment(**more: str) -> dict[str, str]:
    paths = [os.environ.get("PYTHONPATH", "")] if _INSTALLED.exists() else [str(ROOT)]
    # Of this process alone: what Prefect's import here has set is not a stranger's environment.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def ringcraft(*arguments: object, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=500, env=environment(**more))


def start_ringcraft(*arguments: object, cwd: Path, log: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start it; everything it says goes to `log`."""
    command = [*PROGRAM, *map(str, arguments)]
    with log.open("ab") as file:
        return subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment(**more)
        )


def about(path: Path) -> dict[int, str]:
    """Return the command lines, by pid, of live processes that have `path` in arguments, environment or folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            text = command + (entry / "environ").read_bytes() + os.fsencode((entry / "cwd").readlink())
        except OSError:  # it has ended meanwhile
            continue
        if os.fsencode(path) in text:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def wait_for(met: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not met():
        assert time.monotonic() < end, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.1)


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return what it said on stderr, which is one line and no traceback."""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]
