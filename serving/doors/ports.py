"""Where a door that is a process of its own can be reached: doors/<name>.json in the state folder."""

from pathlib import Path

import msgspec


def state_ports(state_dir: Path, door: str, **ports: int) -> None:
    """Say which ports a door listens on; a reader sees the whole file or none."""
    path = ports_path(state_dir, door)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(ports))
    part.replace(path)


def read_ports(state_dir: Path, door: str) -> dict[str, int]:
    """Return what a door said; nothing where it has not opened."""
    try:
        return msgspec.json.decode(ports_path(state_dir, door).read_bytes(), type=dict[str, int])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def ports_path(state_dir: Path, door: str) -> Path:
    """Return the file."""
    return state_dir / "doors" / f"{door}.json"
