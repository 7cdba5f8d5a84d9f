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


def listening(state_dir: Path) -> dict[str, int]:
    """Return the ports of every door that listens, by its name; one that publishes besides has `<name>_publish`."""
    names = sorted(path.stem for path in (state_dir / "doors").glob("*.json") if "." not in path.stem)
    told = ((name, kind, port) for name in names for kind, port in read_ports(state_dir, name).items())
    return {f"{name}_{kind.removesuffix('_port')}" if kind != "port" else name: port for name, kind, port in told}


def ports_path(state_dir: Path, door: str) -> Path:
    """Return the file."""
    return state_dir / "doors" / f"{door}.json"
