"""How a version was made, kept among its files, so that it can be made again."""

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from data_contracts.errors import UsageError
from models.families import family
from pipelines.identity import code_digest
from pipelines.request import TrainRequest

RECIPE_FILE: Final = "training.json"


class Recipe(Struct, frozen=True, kw_only=True):
    """What was asked for and with what configuration it was answered."""

    request: TrainRequest
    family: str
    config: dict[str, Any]
    """What tuning chose."""
    code: str
    """Of pipelines.identity.code_digest: equal code and equal data give equal bits."""
    build: str = ""
    """Of pipelines.identity.build_key: under it the version is published once; empty: of before it was kept."""

    def typed_config(self) -> Any:  # noqa: ANN401  each family has its own
        """Return the configuration as its family types it.

        Raises:
            UsageError: the family's configuration has changed since.
        """
        kind = type(family(self.family).default())
        try:
            return msgspec.convert(self.config, kind)
        except msgspec.ValidationError as error:
            raise UsageError(f"{RECIPE_FILE}: config: {error}: {self.family} is configured otherwise today") from None


def write_recipe(folder: Path, request: TrainRequest, family_name: str, config: object, build: str) -> None:
    """Write training.json into `folder`, made if absent."""
    chosen = msgspec.to_builtins(config)
    recipe = Recipe(request=request, family=family_name, config=chosen, code=code_digest(), build=build)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECIPE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(recipe)))


def read_recipe(folder: Path) -> Recipe:
    """Return the recipe in `folder`.

    Raises:
        UsageError: there is none, as in a version made elsewhere, or it is malformed.
    """
    path = folder / RECIPE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recipe)
    except FileNotFoundError:
        raise UsageError(
            f"{folder.name}: no {RECIPE_FILE} among its files: it was not made by ringcraft train"
        ) from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: {error}") from None
