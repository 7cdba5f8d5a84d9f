"""Writes a policy as TOML that read_policy reads back."""

from pathlib import Path
from typing import Any

import msgspec

from data_contracts.policy import Policy


def write_policy(path: Path, policy: Policy) -> None:
    """Write every value of `policy` to `path`."""
    tables: dict[str, Any] = msgspec.to_builtins(policy)
    lines = ["# Rollout policy; `ringcraft init` writes one with comments."]
    _write_table(lines, "", tables)
    path.write_text("\n".join(lines) + "\n")


def _write_table(lines: list[str], name: str, table: dict[str, Any]) -> None:
    # TOML has no word for None: a limit that is not set is left out.
    plain = {key: value for key, value in table.items() if value is not None and not _nested(value)}
    if plain and name:
        lines += ["", f"[{name}]"]
    lines += [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        path = f"{name}.{key}".lstrip(".")
        if isinstance(value, dict):
            _write_table(lines, path, value)
        elif _nested(value):
            for row in value:
                lines += ["", f"[[{path}]]", *(f"{field} = {_value(cell)}" for field, cell in row.items())]


def _nested(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value))


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)
