"""A training that kills itself while it publishes: python -m support.dying_training URI WORK RECORDING WHEN."""

import os
import signal
import sys
from pathlib import Path


def main(uri: str, work: str, recording: str, when: str) -> None:
    os.environ["PREFECT_HOME"] = str(Path(work) / "prefect")
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    from pipelines.flows import Given, train_flow
    from pipelines.request import TrainRequest
    from registry.mlflow_registry import MlflowRegistry

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    registry = MlflowRegistry(uri, timeout_s=60.0)
    if when == "files-are-there":  # uploaded, and not yet a version
        registry._client.create_model_version = die  # type: ignore[method-assign]
    elif when == "version-is-there":  # made, and nobody told
        publish = registry.publish

        def publish_and_die(*arguments: object, **named: object) -> int:
            publish(*arguments, **named)  # type: ignore[arg-type]
            die()
            return 0

        registry.publish = publish_and_die  # type: ignore[method-assign]
    request = TrainRequest(
        model="killed", source=recording, families=("logistic",), trials=1, folds=2, mlflow_uri=uri, work=work
    )
    result = train_flow(request, Given(registry=registry))
    made = result.versions[0]
    sys.stdout.write(f"{made.version} {made.new} {made.run_id}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
