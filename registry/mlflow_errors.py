"""MLflow's exceptions, said in our own words; nothing of the vendor's crosses the port."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from requests import RequestException

from data_contracts.errors import RegistryError, RegistryUnavailableError
from registry.mlflow_vendor import MlflowException

_NOT_FOUND: Final = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
# A log-in that is refused is none of these: tokens run out and come back, and what waits must not be given up for it.
_REFUSED: Final = frozenset(
    {
        "ALREADY_EXISTS",
        "BAD_REQUEST",
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_LIMIT_EXCEEDED",
    }
)


@contextmanager
def said_plainly(uri: str, missing: RegistryError | None = None) -> Iterator[None]:
    """Turn what MLflow raises inside into data_contracts.errors.

    Args:
        uri: server asked, for the message.
        missing: raised where MLflow says that the thing does not exist.

    Raises:
        RegistryUnavailableError: no answer in time, or a server error.
        RegistryError: MLflow refused, for example a name.
    """
    try:
        yield
    except MlflowException as error:
        raise _translated(uri, error, missing) from None
    except (RequestException, ConnectionError, TimeoutError) as error:
        raise RegistryUnavailableError(f"MLflow at {uri}: {_one_line(error)}") from None


def _translated(uri: str, error: MlflowException, missing: RegistryError | None) -> RegistryError:
    if error.error_code in _NOT_FOUND:
        return missing or RegistryError(f"MLflow at {uri}: {_one_line(error)}")
    if error.error_code in _REFUSED:
        return RegistryError(f"MLflow at {uri} refuses: {_one_line(error)}")
    return RegistryUnavailableError(f"MLflow at {uri}: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:297]}..."
