"""The REST door against its own OpenAPI document, by schemathesis: what it allows and what it promises."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worker_kit import MODEL, ROOT, ab_route, linear_graph, lineup, tier, write_version

import serving
from benchmarks.versions import WIDTH

DOCUMENT = Path(serving.__file__).parent / "openapi.json"
HOOKS = ROOT / "tests" / "support" / "schemathesis_hooks.py"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("openapi")
    versions = {n: write_version(folder / str(n), lambda path, n=n: linear_graph(path, seed=n)) for n in (1, 2)}
    patient = {"allow_arm_override": "true", "shed_after_us": [60_000_000] * 3}
    with tier(folder, **patient) as running:
        running.show(lineup(versions, budget_us=60_000_000))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        yield f"http://127.0.0.1:{running.status().rest_port}"
        assert running.stop() == 0


def told_of_model(document: dict[str, Any]) -> dict[str, Any]:
    """Add what a client learns from the metadata: names, versions, how many numbers."""
    parts = document["components"]
    parts["parameters"]["model"]["schema"] = {"enum": [MODEL]}
    parts["parameters"]["version"]["schema"] = {"enum": ["1", "2"]}
    schemas = parts["schemas"]
    number = {"type": "number"}
    schemas["RequestInput"]["properties"] |= {
        "shape": {"const": [2, WIDTH]},
        "data": {"type": "array", "minItems": 2 * WIDTH, "maxItems": 2 * WIDTH, "items": number},
    }
    schemas["Question"]["properties"] |= {
        "model": {"const": MODEL},
        "features": {"type": "array", "minItems": WIDTH, "maxItems": WIDTH, "items": number},
    }
    for path, item in document["paths"].items():
        if path.endswith("/infer"):
            # Which bytes follow which JSON is beyond a schema; tests with tritonclient send those.
            item["post"]["requestBody"]["content"].pop("application/octet-stream")
            item["post"]["parameters"].remove({"$ref": "#/components/parameters/jsonBytes"})
    return document


def run(folder: Path, url: str, phases: str, examples: int, *options: str) -> str:
    """Ask the door; return what schemathesis says, empty where it found nothing."""
    place = folder / "openapi.json"
    place.write_text(json.dumps(told_of_model(json.loads(DOCUMENT.read_text()))))
    (folder / "schemathesis.toml").write_text(
        # QUERY is left out: the parser of HTTP does not know it, and says so with 400.
        '[phases.coverage]\nunexpected-methods = ["DELETE", "PATCH", "PUT"]\n'
    )
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(place), "--url", url, "--phases", phases]
    limits = ["--max-examples", str(examples), "--seed", "1", "--no-shrink", "--generation-database", "none"]
    done = subprocess.run(
        [
            *command,
            *limits,
            "--checks",
            "all",
            "--warnings",
            "off",
            "--suppress-health-check",
            "all",
            "--no-color",
            *options,
        ],
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
        capture_output=True,
        text=True,
        timeout=1000,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_door_keeps_what_its_document_promises(url: str, tmp_path: Path) -> None:
    said = run(tmp_path, url, "fuzzing", 6, "--exclude-path-regex", "/versions/")
    assert not said, said


@pytest.mark.long
def test_the_door_keeps_it_at_the_limits_of_every_field(url: str, tmp_path: Path) -> None:
    said = run(tmp_path, url, "coverage,fuzzing", 200, "--continue-on-failure")
    assert not said, said


def test_the_document_is_served_as_it_is(url: str) -> None:
    with urllib.request.urlopen(f"{url}/v2/openapi.json") as answer:
        assert answer.read() == DOCUMENT.read_bytes()
