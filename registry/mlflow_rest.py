"""What is asked over and over of registered models: aliases and tags, over kept-alive connections."""

import base64
import os
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from data_contracts.errors import ModelNotFoundError, RegistryError, RegistryUnavailableError, VersionNotFoundError

_MODELS: Final = "/api/2.0/mlflow/registered-models"
_VERSIONS: Final = "/api/2.0/mlflow/model-versions"
_PIECE_BYTES: Final = 1 << 20
_T = TypeVar("_T")
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


class FoundVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What MLflow says of a version."""

    name: str
    version: str
    run_id: str = ""
    tags: tuple[dict[str, str], ...] = ()

    def tag_map(self) -> dict[str, str]:
        """Return tag -> value."""
        return {tag["key"]: tag.get("value", "") for tag in self.tags}


class _VersionAnswer(msgspec.Struct, frozen=True):
    model_version: FoundVersion


class _UriAnswer(msgspec.Struct, frozen=True):
    artifact_uri: str


class _Answer(msgspec.Struct, frozen=True):
    registered_model: RegisteredModel


class _Refused(msgspec.Struct, frozen=True):
    error_code: str = ""
    message: str = ""


class MlflowRest:
    """Reads and changes registered models over MLflow's REST API; safe to share between threads.

    One request for each call: MLflow's own client asks for the model before every change, which costs as much again
    and leaves more time between looking at an alias and moving it.
    """

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
        content = self.read(f"{_MODELS}/get?{urlencode({'name': model})}", ModelNotFoundError(model))
        return self._decoded(content, _Answer).registered_model

    def version(self, model: str, version: int) -> FoundVersion:
        """Return a version; raises as registered_model, and VersionNotFoundError."""
        query = urlencode({"name": model, "version": version})
        content = self.read(f"{_VERSIONS}/get?{query}", VersionNotFoundError(model, version))
        return self._decoded(content, _VersionAnswer).model_version

    def artifact_uri(self, model: str, version: int) -> str:
        """Return where the version's files lie; raises as version."""
        query = urlencode({"name": model, "version": version})
        content = self.read(f"{_VERSIONS}/get-download-uri?{query}", VersionNotFoundError(model, version))
        return self._decoded(content, _UriAnswer).artifact_uri

    def read(self, path: str, missing: RegistryError) -> bytes:
        """Return what a GET of `path` answers; raises `missing` where there is no such thing."""
        return self._call("GET", path, None, missing)

    def download(self, path: str, target: Path, missing: RegistryError) -> None:
        """Write what a GET of `path` answers to `target`; raises `missing` where there is no such thing.

        The timeout holds for every piece, not for the whole.
        """
        try:
            answer = self._pool.request(
                "GET", f"{self._uri}{path}", timeout=self._timeout, preload_content=False, decode_content=True
            )
            try:
                if answer.status == _OK:
                    with target.open("wb") as file:
                        for piece in answer.stream(_PIECE_BYTES):
                            file.write(piece)
                    return
                answer.read()
            finally:
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise RegistryUnavailableError(f"MLflow at {self._uri}: {error}") from None
        if answer.status == _NOT_FOUND:
            raise missing
        raise RegistryUnavailableError(f"MLflow at {self._uri}: {path}: HTTP {answer.status}")

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """Point the alias at a version, whatever it held; raises as registered_model, and VersionNotFoundError."""
        body = {"name": model, "alias": alias, "version": str(version)}
        self._call("POST", f"{_MODELS}/alias", body, VersionNotFoundError(model, version), again=False)

    def delete_alias(self, model: str, alias: str) -> None:
        """Take the alias away, whatever it held; raises as registered_model."""
        self._call(
            "DELETE", f"{_MODELS}/alias", {"name": model, "alias": alias}, ModelNotFoundError(model), again=False
        )

    def set_model_tag(self, model: str, key: str, value: str) -> None:
        """Set a tag on the registered model; raises as registered_model."""
        self._call("POST", f"{_MODELS}/set-tag", {"name": model, "key": key, "value": value}, ModelNotFoundError(model))

    def delete_model_tag(self, model: str, key: str) -> None:
        """Take a tag off the registered model; raises as registered_model."""
        self._call("DELETE", f"{_MODELS}/delete-tag", {"name": model, "key": key}, ModelNotFoundError(model))

    def set_version_tag(self, model: str, version: int, key: str, value: str) -> None:
        """Set a tag on a version; raises as registered_model, and VersionNotFoundError."""
        body = {"name": model, "version": str(version), "key": key, "value": value}
        self._call("POST", f"{_VERSIONS}/set-tag", body, VersionNotFoundError(model, version))

    def _decoded(self, content: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise RegistryUnavailableError(f"MLflow at {self._uri}: not MLflow's answer: {error}") from None

    def _call(
        self, method: str, path: str, body: dict[str, str] | None, missing: RegistryError, *, again: bool = True
    ) -> bytes:
        response = self._request(method, f"{self._uri}{path}", body, again=again)
        if response.status == _OK:
            return response.data
        try:
            refused = msgspec.json.decode(response.data, type=_Refused)
        except msgspec.DecodeError:
            refused = _Refused()
        if response.status == _NOT_FOUND and refused.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise missing
        away = response.status >= _SERVER_ERROR or response.status in _NO_LOGIN
        kind = RegistryUnavailableError if away else RegistryError
        why = " ".join(refused.message.split())[:300] or f"HTTP {response.status}"
        raise kind(f"MLflow at {self._uri}{' refuses' if not away else ''}: {why}")

    def _request(self, method: str, url: str, body: dict[str, str] | None, *, again: bool) -> urllib3.BaseHTTPResponse:
        try:
            try:
                return self._pool.request(method, url, json=body, timeout=self._timeout)
            except urllib3.exceptions.ProtocolError:
                if not again:
                    raise
                # The server closed an idle connection just as it was taken from the pool: ask once more on a new one.
                return self._pool.request(method, url, json=body, timeout=self._timeout)
        except urllib3.exceptions.HTTPError as error:
            raise RegistryUnavailableError(f"MLflow at {self._uri}: {error}") from None


def _headers() -> dict[str, str]:
    # The same variables that MLflow's own client reads.
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}
