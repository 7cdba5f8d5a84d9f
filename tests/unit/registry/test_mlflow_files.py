"""What a server that means no good may answer when asked for files."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data_contracts.errors import RegistryError, RegistryUnavailableError, VersionNotFoundError
from registry.mlflow_files import copy_files, served_path
from registry.mlflow_rest import MlflowRest

GONE = VersionNotFoundError("m", 1)


@pytest.fixture
def answers() -> Iterator[tuple[str, dict[str, tuple[int, bytes]]]]:
    """Address, and what it answers by the path asked for without its query."""
    table: dict[str, tuple[int, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = table.get(self.path.partition("?")[0], (404, b"{}"))
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", table
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("mlflow-artifacts:/1/run/artifacts/model", "1/run/artifacts/model"),
        ("mlflow-artifacts://elsewhere:5000/1/run", None),
        ("s3://bucket/model", None),
        ("/a/folder", None),
    ],
)
def test_only_the_server_s_own_proxy_is_read_directly(uri: str, path: str | None) -> None:
    assert served_path(uri) == path


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "..", "", "a/b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(answers, tmp_path: Path, name: str) -> None:
    uri, table = answers
    table["/api/2.0/mlflow-artifacts/artifacts"] = (200, b'{"files": [{"path": "%s"}]}' % name.encode())
    with pytest.raises(RegistryError, match="plain names"):
        copy_files(MlflowRest(uri, timeout_s=5), "1/x", tmp_path / "here", GONE)
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_folders_without_end_are_left(answers, tmp_path: Path) -> None:
    uri, table = answers
    table["/api/2.0/mlflow-artifacts/artifacts"] = (200, b'{"files": [{"path": "again", "is_dir": true}]}')
    assert copy_files(MlflowRest(uri, timeout_s=5), "1/x", tmp_path / "here", GONE) == 0


def test_a_file_that_went_between_listing_and_copying_is_missing(answers, tmp_path: Path) -> None:
    uri, table = answers
    table["/api/2.0/mlflow-artifacts/artifacts"] = (200, b'{"files": [{"path": "model.onnx"}]}')
    with pytest.raises(VersionNotFoundError):
        copy_files(MlflowRest(uri, timeout_s=5), "1/x", tmp_path / "here", GONE)
    table["/api/2.0/mlflow-artifacts/artifacts/1/x/model.onnx"] = (503, b"")
    with pytest.raises(RegistryUnavailableError):
        copy_files(MlflowRest(uri, timeout_s=5), "1/x", tmp_path / "here", GONE)
    table["/api/2.0/mlflow-artifacts/artifacts/1/x/model.onnx"] = (200, b"graph")
    assert copy_files(MlflowRest(uri, timeout_s=5), "1/x", tmp_path / "here", GONE) == 1
    assert (tmp_path / "here" / "model.onnx").read_bytes() == b"graph"
