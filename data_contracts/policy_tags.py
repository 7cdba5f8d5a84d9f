"""A registered model's tags over the policy file: `ringcraft.policy.<dotted.path>`, typed as the file is."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from data_contracts.errors import PolicyError
from data_contracts.policy import Policy

PREFIX: Final = "ringcraft.policy."
ERROR_TAG: Final = "ringcraft.policy.error"
"""Where a refusal is answered; written by the platform, never read as a value."""


def policy_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return those of a model's tags that speak of its policy."""
    return {key: value for key, value in tags.items() if key.startswith(PREFIX) and key != ERROR_TAG}


def with_tags(policy: Policy, tags: Mapping[str, str]) -> Policy:
    """Return the policy with every value that a tag names set to what the tag says.

    Args:
        policy: of the file.
        tags: of the registered model; a value is JSON or TOML, and a bare word is a string: `0.02`, `wait`,
            `[{share = 0.0, min_decisions = 500}]`.

    Raises:
        PolicyError: an unknown or mistyped field, or limits that contradict; names the tag where one is to blame.
    """
    ours = policy_tags(tags)
    if not ours:
        return policy
    tables: dict[str, Any] = msgspec.to_builtins(policy)
    for key in sorted(ours):
        _set(tables, key, _value(ours[key]))
    try:
        return msgspec.convert(tables, Policy, strict=True)
    except msgspec.ValidationError as error:
        raise PolicyError(str(error).replace("`$.", f"`{PREFIX}").replace("`$`", f"`{PREFIX}*`")) from None
    except PolicyError as error:
        raise PolicyError(f"{', '.join(sorted(ours))}: {error}") from None


def _set(tables: dict[str, Any], key: str, value: object) -> None:
    *path, last = key.removeprefix(PREFIX).split(".")
    table: Any = tables
    for depth, name in enumerate(path, start=1):
        table = table.get(name) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            raise PolicyError(f"{key}: expected a table at {'.'.join(path[:depth])}, found none")
    if last not in table:
        raise PolicyError(f"{key}: expected one of {', '.join(sorted(table))}, got {last!r}")
    table[last] = value


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text.strip()
