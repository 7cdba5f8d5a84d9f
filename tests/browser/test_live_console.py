"""What a person sees of a real tier: MLflow, controller, worker and a feed behind the page."""

from pathlib import Path

import pytest
from support.devtools import browse, find_browser
from support.graphs import cautious, restless
from support.live_tier import MODEL, LiveTier

from benchmarks.versions import write_version
from registry.mlflow_registry import MlflowRegistry
from ringcraft.mlflow_server import MlflowServer

LIVE = "document.getElementById('live').textContent === 'live' && document.querySelector('#models section')"
ROWS = (
    "[...document.querySelectorAll('table[aria-label=\"{}\"] tbody tr')]"
    ".map(row => [...row.cells].map(cell => cell.textContent))"
)
LINE_UP, EVENTS = ROWS.format(f"Line-up of {MODEL}"), ROWS.format("Events, newest first")
ADVANCED = f"{EVENTS}.some(row => row[2] === 'A/B')"


@pytest.mark.slow
def test_challenger_given_its_share_is_seen_with_version_share_and_decision_number(tmp_path: Path) -> None:
    program = find_browser()
    if program is None:
        pytest.skip("no browser: expected chromium, chromium-browser or google-chrome; apt-get install chromium")
    with MlflowServer(tmp_path / "mlflow") as server:
        registry = MlflowRegistry(server.uri)
        for alias, graph in (("champion", cautious), ("challenger", restless)):
            folder = write_version(tmp_path / alias, graph, model=MODEL, horizon_ns=1_000_000_000)
            registry.move_alias(MODEL, alias, registry.publish(MODEL, folder, tags={}))
        tier = LiveTier(tmp_path, server.uri)
        try:
            ready = tier.until(lambda s: s.ready and len(s.models[0].arms) == 2, "champion and challenger")
            tier.start_feed(ready.workers[0].feed_port)
            with browse(program, tmp_path / "profile") as page:
                page.resize(1280, 900)
                page.open(tier.console(), LIVE)
                page.wait(ADVANCED, 30.0)
                line_up, events, text = page.ask(LINE_UP), page.ask(EVENTS), page.text()
                assert page.ask("document.documentElement.scrollWidth") <= 1280
        finally:
            tier.close()
    assert [row[:2] for row in line_up[:2]] == [["champion", "v1"], ["challenger", "v2"]]
    advanced = next(row for row in events if row[2] == "A/B")
    assert advanced[4] == "v2"
    assert int(advanced[5].replace(",", "")) >= 1000
    assert advanced[6] == "acts on 50% of live decisions"
    assert "Our clock" in text
    assert "polled every 100 ms" in text
