"""Opens the registry that settings name, or says in one line that it is not there."""

from data_contracts.errors import MissingDependencyError, RegistryUnavailableError
from data_contracts.settings import Settings
from registry.port import ModelRegistry


def reachable_registry(settings: Settings) -> ModelRegistry:
    """Return the MLflow registry once it has answered.

    Raises:
        MissingDependencyError: nothing answers there.
    """
    from registry.mlflow_registry import MlflowRegistry

    registry = MlflowRegistry(settings.mlflow.uri, timeout_s=settings.mlflow.timeout_s)
    try:
        registry.models()
    except RegistryUnavailableError:  # the address is what a person can mend; the layers below tell it in five lines
        raise MissingDependencyError(
            f"no MLflow server answers at {settings.mlflow.uri}; `ringcraft up` starts one"
        ) from None
    return registry
