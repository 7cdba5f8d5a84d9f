"""The command line as a stranger meets it."""

import subprocess
import sys
import time
import tomllib
from pathlib import Path

import msgspec
import pytest

from data_contracts.policy import Policy
from data_contracts.settings import Settings, load_settings
from ringcraft.cli import COMMANDS
from ringcraft.commands.init import policy_template, settings_template


def ringcraft(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("ringcraft"), *arguments], capture_output=True, text=True, cwd=cwd, timeout=60
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = ringcraft(command, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: ringcraft {command}")
    assert len(result.stdout.splitlines()) > 4


def test_help_comes_in_a_blink() -> None:
    heavy = "import ringcraft.cli, sys; print({'torch', 'mlflow', 'prefect', 'numpy'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["judge", "missing", "--policy", "missing.toml"], "missing: expected a journal"),
        (["serve", "--config", "missing.toml"], "settings file missing.toml: no such file"),
        (["replay", "missing"], "missing"),
        (["train", "missing", "--model", "m"], "missing"),
        (["demo", "--data", "missing"], "missing"),
        (
            ["publish", "missing.onnx", "--model", "m", "--feature-set", "touch_v1", "--golden", "g.json"],
            "missing.onnx",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments: list[str], expected: str, tmp_path: Path) -> None:
    result = ringcraft(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_asking_a_tier_that_does_not_run_exits_three(tmp_path: Path) -> None:
    (tmp_path / "ringcraft.toml").write_text("[serving]\nconsole_port = 9\n")
    for arguments in (["status"], ["promote", "m"], ["rollback", "m", "--dry-run"]):
        result = ringcraft(*arguments, cwd=tmp_path)
        assert result.returncode == 3
        assert "no serving tier answers" in result.stderr


def test_init_writes_files_that_mean_the_defaults(tmp_path: Path) -> None:
    assert ringcraft("init", cwd=tmp_path).returncode == 0
    assert load_settings(tmp_path / "ringcraft.toml") == Settings()
    again = ringcraft("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "already there" in again.stderr


def test_policy_template_spells_out_every_default() -> None:
    table = tomllib.loads(policy_template())
    assert msgspec.convert(table, Policy) == Policy()
    assert {key: set(value) for key, value in table.items()} == {
        key: set(value) for key, value in msgspec.to_builtins(Policy()).items()
    }


def test_settings_template_uncommented_is_valid() -> None:
    commented = settings_template()
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line else line for line in commented.splitlines()
    ]
    values = [line for line in lines if not line.startswith("#") and " = ..." not in line]
    tables = "\n".join(values).partition("name =")[0]
    assert tomllib.loads(tables)["serving"]["console_port"] == 8090


def test_help_is_quick() -> None:
    start = time.perf_counter()
    ringcraft("--help")
    assert time.perf_counter() - start < 5.0
