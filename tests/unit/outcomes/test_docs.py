"""The curl lines of docs/outcomes.md work as they stand there, but for the port."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import console_sample

from serving.console.app import console_app
from serving.console.server import ConsoleServer
from serving.controller.commands import ControllerCommands
from serving.outcomes.api import outcome_routes
from serving.outcomes.intake import Intake
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
from serving.outcomes.taken import TakenLog

DOCS = Path(__file__).resolve().parents[3] / "docs" / "outcomes.md"


def test_every_curl_line_of_the_docs_works(tmp_path: Path) -> None:
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("curl ")]
    assert len(lines) == 4
    intake = Intake(SqlOutcomeStore(outcome_url("", tmp_path)), TakenLog(tmp_path / "journal"), lambda: 20)
    routes = outcome_routes(intake, lambda by: [])
    said = []
    with ConsoleServer(console_app(console_sample.snapshot, ControllerCommands(None), routes=routes)) as server:
        for line in lines:
            command = re.sub(r"http://127\.0\.0\.1:8090", server.url, line)
            out = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True, timeout=20).stdout
            said.append(json.loads(out))
    intake.stop()
    assert said[0] == {"outcome_id": "fill-1", "status": "accepted", "sequence": 1}
    assert said[1] == {"results": [{"outcome_id": "pnl-1", "status": "accepted", "sequence": 2}]}
    assert [one["outcome"]["outcome_id"] for one in said[2]["outcomes"]] == ["fill-1", "pnl-1"]
    assert said[3] == {"by": ["model", "version", "arm"], "rows": []}
