"""Families of models behind one protocol; each is imported only when it is asked for."""

from importlib import import_module
from typing import Any

from data_contracts.errors import UsageError
from models.families.port import Family, Fitted

__all__ = ["NAMES", "Family", "Fitted", "family"]

NAMES = ("majority", "logistic", "ridge", "xgboost", "mlp", "lstm", "deeplob", "binctabl", "mlplob")


def family(name: str) -> Family[Any]:
    """Return the family called `name`.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in NAMES:
        raise UsageError(f"family {name!r}: expected one of {', '.join(NAMES)}")
    made: Family[Any] = import_module(f"models.families.{name}").FAMILY
    return made
