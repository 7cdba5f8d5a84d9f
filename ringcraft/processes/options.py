"""What every process of the tier does first."""

import argparse
from pathlib import Path

from data_contracts.settings import Settings, load_settings
from ringcraft.logs import configure_logs


def config_from_arguments(name: str) -> Path | None:
    """Return the settings file named by --config, None where none was."""
    parser = argparse.ArgumentParser(prog=f"ringcraft {name}")
    parser.add_argument("--config", type=Path, default=None, help="Settings file (default: ringcraft.toml).")
    config: Path | None = parser.parse_args().config
    return config


def settings_from_arguments(name: str) -> Settings:
    """Read the settings, set up the logs, and return the settings.

    Raises:
        UsageError: a settings file that is missing or wrong.
    """
    configure_logs("info")
    settings = load_settings(config_from_arguments(name))
    configure_logs(settings.log_level)
    return settings
