"""The serving tier as the demonstration starts it: its own settings file, its own processes, its own ports."""

from pathlib import Path

from data_contracts.settings import MlflowSettings, load_settings
from ringcraft.child import Child, own_command
from ringcraft.ports import reserve_port

CONFIG_FILE = "ringcraft.toml"


def write_config(work: Path, *, model: str, instrument: str, mlflow_uri: str) -> tuple[Path, str]:
    """Write the settings by which the demonstration, and later `ringcraft up`, run; return file and console address.

    The ports are those of the settings found here, or free ones where another listens or waits to listen on them.
    """
    serving = load_settings().serving
    console = reserve_port(serving.console_port)
    lines = [
        "# Written by `ringcraft demo`. To look around later: ringcraft up --config " + str(work / CONFIG_FILE),
        f'state_dir = "{work / "state"}"',
        "",
        "[mlflow]",
        f'uri = "{mlflow_uri}"',
        f'experiment = "{MlflowSettings().experiment}"',
        f'folder = "{work / "mlflow"}"',
        "",
        "[serving]",
        f"feed_port = {reserve_port(serving.feed_port)}",
        f"rest_port = {reserve_port(serving.rest_port)}",
        f"console_port = {console}",
        "registry_poll_ms = 250",
        f'policy = "{work / "policy.toml"}"',
        "",
        "[[serving.models]]",
        f'name = "{model}"',
        f'instruments = ["{instrument}"]',
        "",
    ]
    path = work / CONFIG_FILE
    path.write_text("\n".join(lines))
    return path, f"http://{serving.host}:{console}"


def serving_tier(config: Path, log: Path) -> Child:
    """Return `ringcraft serve` as a child; once stopped, its journal is complete."""
    return Child(own_command("serve", config), name="serve", log=log)
