"""ringcraft init."""

from importlib.resources import files
from pathlib import Path

import click
from pydantic import BaseModel

from data_contracts.errors import UsageError
from data_contracts.schedule import ScheduledFlow
from data_contracts.settings import SETTINGS_FILE, ServedModel, Settings

POLICY_FILE = "policy.toml"


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="Where to write; default: here.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
def init(folder: Path, force: bool) -> None:
    """Write a commented ringcraft.toml and policy.toml."""
    texts = {SETTINGS_FILE: settings_template(), POLICY_FILE: policy_template()}
    taken = [name for name in texts if (folder / name).exists()]
    if taken and not force:
        raise UsageError(f"{folder / taken[0]}: already there; --force overwrites it")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
        click.echo(f"wrote {folder / name}")


def policy_template() -> str:
    """Return the commented policy, every value its default."""
    return (files("ringcraft") / "templates" / POLICY_FILE).read_text()


def settings_template() -> str:
    """Return every setting with its description and default, made from the settings tree itself."""
    head = (
        "# Ringcraft settings. Commented lines show the defaults.\n"
        "# Stronger than this file: RINGCRAFT_* variables, for example RINGCRAFT_SERVING__CONSOLE_PORT=9000.\n"
    )
    tables = [_table(name, kind) for name, kind in _sections()]
    model = _repeated("serving.models", ServedModel, "A model that the tier follows; repeat for more.")
    schedule = _repeated("schedules", ScheduledFlow, "Flows by the clock or on an event; repeat for more.")
    return "\n".join([head, *_lines(Settings), "", *tables, model, schedule])


def _repeated(name: str, kind: type[BaseModel], about: str) -> str:
    lines = [f"[[{name}]]", *_lines(kind, commented=False)]
    return "\n".join([f"# {about}", *(f"# {line}" for line in lines), ""])


def _sections() -> list[tuple[str, type[BaseModel]]]:
    kinds = ((name, field.annotation) for name, field in Settings.model_fields.items())
    return [(name, kind) for name, kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _table(name: str, kind: type[BaseModel]) -> str:
    return "\n".join([f"[{name}]", *_lines(kind), ""])


def _lines(kind: type[BaseModel], *, commented: bool = True) -> list[str]:
    lines = []
    for name, field in kind.model_fields.items():
        if field.description is None or name in ("models", "schedules"):
            continue
        if field.default is None:
            lines += [f"# {field.description}", f"# {name} = ..."]
            continue
        value = "" if field.is_required() else field.default
        lines += [f"# {field.description}", f"{'# ' if commented else ''}{name} = {_toml(value)}"]
    return lines


def _toml(value: object) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else f'"{value}"'
