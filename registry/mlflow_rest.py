"""The one read that is repeated for ever: a registered model's alias map, over one kept-alive connection."""

import base64
import os
from typing import Any, Final

import msgspec
import urllib3

from data_contracts.errors import ModelNotFoundError, RegistryError, RegistryUnavailableError

_PATH: Final = "/api/2.0/mlflow/registered-models/get"
_OK: Final = 200
_NO_LOGIN: Final = (401, 403)
_NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """What MLflow says of a registered model; over REST a version is a string."""

    name: str
    tags: tuple[dict[str, str], ...] = ()
    aliases: tuple[dict[str, str], ...] = ()

    def tag_map(self) -> dict[str, str]:
        """Return tag -> value."""
        return {tag["key"]: tag.get("value", "") for tag in self.tags}

    def alias_map(self) -> dict[str, int]:
        """Return alias -> version."""
        return {entry["alias"]: int(entry["version"]) for entry in self.aliases}


class _Answer(msgspec.Struct, frozen=True):
    registered_model: RegisteredModel


class MlflowRest:
    """Reads registered models from MLflow's REST API; safe to share between threads."""

    def __init__(self, uri: str, *, timeout_s: float) -> None:
        self._uri = uri
        self._timeout = urllib3.Timeout(total=timeout_s)
        self._pool = urllib3.PoolManager(maxsize=4, retries=False, headers=_headers())

    def registered_model(self, model: str) -> RegisteredModel:
        """Return the model's tags and aliases.

        Raises:
            ModelNotFoundError: never registered.
            RegistryUnavailableError: no answer in time, a server error, or a log-in that is not taken (any more).
            RegistryError: refused.
        """
        response = self._get(model)
        if response.status == _NOT_FOUND and b"RESOURCE_DOES_NOT_EXIST" in response.data:
            raise ModelNotFoundError(model)
        if response.status != _OK:
            away = response.status >= _SERVER_ERROR or response.status in _NO_LOGIN
            kind = RegistryUnavailableError if away else RegistryError
            raise kind(f"MLflow at {self._uri}: asked for model {model!r}, answered HTTP {response.status}")
        try:
            return msgspec.json.decode(response.data, type=_Answer).registered_model
        except msgspec.DecodeError as error:
            raise RegistryUnavailableError(f"MLflow at {self._uri}: not MLflow's answer: {error}") from None

    def _get(self, model: str) -> urllib3.BaseHTTPResponse:
        fields: dict[str, Any] = {"name": model}
        url = f"{self._uri}{_PATH}"
        try:
            try:
                return self._pool.request("GET", url, fields=fields, timeout=self._timeout)
            except urllib3.exceptions.ProtocolError:
                # The server closed an idle connection just as it was taken from the pool: ask once more on a new one.
                return self._pool.request("GET", url, fields=fields, timeout=self._timeout)
        except urllib3.exceptions.HTTPError as error:
            raise RegistryUnavailableError(f"MLflow at {self._uri}: {error}") from None


def _headers() -> dict[str, str]:
    # The same variables that MLflow's own client reads.
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}
