"""The controller's console over TLS, asked by the project's own commands and by others."""

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.cli import ROOT, environment, ringcraft, wait_for

from data_contracts.errors import UsageError
from data_contracts.settings import TlsSettings
from serving.console.server import ConsoleServer

NAME = "console.example"


def certificate(folder: Path, name: str) -> TlsSettings:
    """One that signs itself, for 127.0.0.1 and NAME."""
    made = TlsSettings(certificate=folder / f"{name}.pem", key=folder / f"{name}.key", authority=folder / f"{name}.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:127.0.0.1,DNS:{NAME}",
         "-keyout", str(made.key), "-out", str(made.certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


def config(folder: Path, port: int, tls: TlsSettings, authority: Path | None) -> Path:
    policy = folder / "policy.toml"
    policy.write_text("")
    signed = f'authority = "{authority}"\n' if authority else ""
    path = folder / f"{authority.stem if authority else 'system'}.toml"
    path.write_text(
        f'state_dir = "{folder / "state"}"\n[mlflow]\nuri = "http://127.0.0.1:9"\n'
        f'[serving]\nconsole_port = {port}\npolicy = "{policy}"\nconsole_hosts = ["{NAME}"]\n'
        f'[serving.console_tls]\ncertificate = "{tls.certificate}"\nkey = "{tls.key}"\n{signed}'
    )
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def tls(folder: Path) -> TlsSettings:
    return certificate(folder, "ours")


@pytest.fixture(scope="module")
def port(folder: Path, tls: TlsSettings) -> Iterator[int]:
    """Of the real controller, whose registry is away."""
    note = folder / "state" / "controller.json"
    with (folder / "controller.log").open("wb") as log:
        command = [sys.executable, "-m", "ringcraft.processes.controller", "--config"]
        process = subprocess.Popen(
            [*command, str(config(folder, 0, tls, None))], cwd=ROOT, env=environment(), stdout=log, stderr=log
        )
    try:
        wait_for(note.is_file, "the controller's port", timeout_s=60)
        yield json.loads(note.read_bytes())["console_port"]
    finally:
        process.terminate()
        assert process.wait(20) == 0, (folder / "controller.log").read_text()


def test_who_trusts_its_authority_is_answered_by_each_of_its_names(port: int, tls: TlsSettings) -> None:
    trusting = ssl.create_default_context(cafile=tls.authority)
    with httpx.Client(verify=trusting) as client:
        assert client.get(f"https://127.0.0.1:{port}/health/live").json() == {"live": True}
        named = {"Host": f"{NAME}:{port}"}
        assert client.get(f"https://127.0.0.1:{port}/health/live", headers=named).json() == {"live": True}
        assert client.get(f"https://127.0.0.1:{port}/", headers={"Host": "elsewhere.example"}).status_code == 400


def test_nothing_is_told_in_clear(port: int) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{port}/health/live")


def test_commands_trust_the_authority_that_settings_name_and_no_other(
    port: int, folder: Path, tls: TlsSettings
) -> None:
    def status(authority: Path | None) -> tuple[int, str]:
        done = ringcraft("status", "--config", config(folder, port, tls, authority))
        return done.returncode, done.stdout + done.stderr

    code, said = status(tls.authority)
    assert code in (0, 1), said  # nothing is served: what matters is that the tier answered
    assert "no serving tier answers" not in said
    for other in (certificate(folder, "theirs").authority, None):
        code, said = status(other)
        assert code == 3, said
        assert "certificate verify failed" in said
    assert status(tls.key)[0] == 2


def test_a_certificate_and_a_key_that_are_no_pair_are_refused_before_anything_listens(
    folder: Path, tls: TlsSettings
) -> None:
    other = certificate(folder, "other")
    for pair in (
        TlsSettings(certificate=tls.certificate, key=other.key),
        TlsSettings(certificate=tls.certificate, key=folder / "absent"),
        TlsSettings(certificate=tls.key, key=tls.key),
    ):
        with pytest.raises(UsageError, match=r"serving.console_tls: expected a certificate in .* got: "):
            ConsoleServer(lambda *_: None, tls=pair)  # type: ignore[arg-type]  # never asked
