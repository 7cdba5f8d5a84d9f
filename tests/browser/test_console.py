"""The console in a real browser, served by the real server."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from console_sample import MARKUP, empty, hostile, model, rollout, snapshot, watches
from support.devtools import Page, browse, find_browser

from serving.console.app import console_app
from serving.console.commands import CommandResult
from serving.console.server import ConsoleServer
from serving.console.snapshot import OutcomesSnapshot, Snapshot
from serving.outcomes.reconciliation import Reading

LIVE = "document.getElementById('live').textContent === 'live' && document.querySelector('#models section')"


class Tier:
    """What is shown, and what was asked by button."""

    def __init__(self) -> None:
        self.now = snapshot()
        self.asked: list[tuple[str, bool, str, str]] = []
        self.url = ""

    def __call__(self) -> Snapshot:
        return self.now

    def _ask(self, what: str, dry_run: bool, why: str, who: str) -> CommandResult:
        self.asked.append((what, dry_run, why, who))
        return CommandResult(done=what != "pause", text=f"{what}: v7 takes the place of v5")

    def promote(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        return self._ask("promote", dry_run, why, who)

    def rollback(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        return self._ask("rollback", dry_run, why, who)

    def pause(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        return self._ask("pause", dry_run, why, who)

    def resume(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        return self._ask("resume", dry_run, why, who)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find_browser()
    if program is None:
        pytest.skip("no browser: expected chromium, chromium-browser or google-chrome; apt-get install chromium")
    with browse(program, tmp_path_factory.mktemp("profile")) as page:
        page.resize(1280, 900)
        yield page


@pytest.fixture
def tier() -> Iterator[Tier]:
    tier = Tier()
    with ConsoleServer(console_app(tier, tier)) as server:
        tier.url = server.url
        yield tier


def cells(page: Page, table: str) -> list[list[str]]:
    rows = f"document.querySelectorAll('table[aria-label=\"{table}\"] tbody tr')"
    return page.ask(f"[...{rows}].map(row => [...row.cells].map(cell => cell.textContent))")


def test_line_up_shows_every_figure_with_its_sign_and_unit(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    champion, challenger, _ = cells(page, "Line-up of if-tilt")
    assert champion == [
        *("champion", "v5", "xgboost", "champion", "90 % / 89.9 %", "14,903", "3,120"),
        *("+50.85", "+58.02", "4.71", "11.3", "0", "0", "onnxruntime"),
    ]
    assert challenger[7:9] == ["\u221222.72", "\u2212148.9"]
    assert "2021-01-04 11:00:31.500 UTC" in page.text()


def test_verdicts_evidence_and_steps_are_told(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    banner = page.ask("document.querySelector('.banner.bad').textContent")
    assert banner.startswith("v3 rolled back on pnl at decision 2,417")
    steps = page.ask("[...document.querySelector('.steps').children].map(step => step.textContent)")
    assert steps == ["shadow", "10 %", "50 %"]
    assert page.ask("document.querySelector('[role=meter]').getAttribute('aria-valuetext')") == "0.78 of 1"
    assert "640 of 1,000 decisions in this step" in page.text()


def test_alarm_is_spelt_out_and_quiet_watches_are_marks(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    banner = page.ask("document.querySelector('.banner.warn').textContent")
    assert banner.startswith("v7 alarm: drift since decision 15,820outputs of the last 500 answers")
    marks = page.ask("[...document.querySelectorAll('.watches li')].map(mark => mark.textContent)")
    assert marks == [
        *("Watched", "share quiet", "latency quiet", "abstentions quiet", "drift alarm", "calibration not known yet")
    ]
    calm = tuple(one for one in watches() if not one.raised)
    parted = Reading(
        model="if-tilt",
        version=5,
        matched=400,
        mean_bps=-1.4,
        low_bps=-1.9,
        high_bps=-1.1,
        tolerance_bps=1.0,
        raised=True,
        since_decision=900,
    )
    outcomes = OutcomesSnapshot(counts={}, pnl=(), reconciliation=(parted,))
    tier.now = snapshot(models=(model(rollout=rollout(watches=calm)),), outcomes=outcomes)
    page.wait("document.querySelector('.watches').textContent.endsWith('reconciliation v5 alarm')")
    assert page.ask("document.querySelectorAll('.watches li').length") == 6
    assert "v5 alarm: reconciliation since decision 900" in page.text()
    assert "realised is \u22121.40 bps a decision from paper, tolerance 1 bps." in page.text()


def test_divergence_is_told_by_instrument_where_there_are_several(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    rows = cells(page, "Divergence of if-tilt")
    assert rows[0] == ["v7", "all", "1,612", "28", "18.4 %", "0.214 bps", "1.99 bps", "0.71"]
    assert [row[1] for row in rows] == ["all", "CFFEX:IF2106", "CFFEX:IH2106", "all"]
    assert rows[2][5:] == ["0.0004 bps", "0.00372 bps", "\u22120.05"]
    assert rows[3][5:7] == ["\u2013", "\u2013"]


def test_doors_are_told_with_their_ports(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    assert "feed port 8083 · rest 8080 · grpc 8081 · zeromq 8082 · zeromq publish 8084" in page.text()


def test_events_are_newest_first(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    kinds = [row[2] for row in cells(page, "Events, newest first")]
    assert kinds == ["mlflow lost", "rolled back", "alarm", "A/B", "shadow", "checking", "alias moved"]


def test_change_arrives_without_a_reload(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    promoted = rollout(verdict="promoted", state="ended", step=2, decision=6_002, reason="non-inferior within 0.1 sd")
    tier.now = snapshot(models=(model(rollout=promoted),), ready=False)
    page.wait("document.querySelector('.banner.good')")
    assert "v7 promoted at decision 6,002" in page.text()
    assert "not ready" in page.text()


def test_nothing_followed_says_what_to_do(page: Page, tier: Tier) -> None:
    tier.now = empty()
    page.open(tier.url, LIVE)
    assert "No model is followed yet: name one under [[serving.models]] in ringcraft.toml" in page.text()


def test_markup_in_names_and_reasons_stays_text(page: Page, tier: Tier) -> None:
    tier.now = hostile()
    page.open(tier.url, LIVE)
    assert page.ask("document.title") == "Ringcraft console"
    assert page.ask("document.querySelectorAll('main img').length") == 0
    assert MARKUP in page.text()
    assert page.ask("document.getElementById('mlflow-link').getAttribute('href')") is None


def test_button_first_asks_what_would_happen_and_then_does_it(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    page.ask("document.querySelector('.model-head button').click()")
    page.wait("!document.getElementById('command-go').disabled")
    assert "v7 takes the place of v5" in page.text()
    assert tier.asked == [("promote", True, "dry run", "console")]
    page.ask("document.getElementById('command-why').value = 'steady for a week'")
    page.ask("document.getElementById('command-who').value = 'ana'")
    page.ask("document.getElementById('command-go').click()")
    page.wait("!document.getElementById('command').open")
    assert tier.asked[-1] == ("promote", False, "steady for a week", "ana")


def test_refused_dry_run_leaves_nothing_to_confirm(page: Page, tier: Tier) -> None:
    page.open(tier.url, LIVE)
    page.ask("[...document.querySelectorAll('.model-head button')].find(b => b.textContent === 'Pause…').click()")
    page.wait("document.getElementById('command-preview').textContent.startsWith('pause')")
    assert page.ask("document.getElementById('command-go').disabled")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("shown", [snapshot, empty, hostile], ids=["working", "empty", "hostile"])
def test_page_fits_its_width(page: Page, tier: Tier, tmp_path: Path, width: int, scheme: str, shown: object) -> None:
    tier.now = shown()  # type: ignore[operator]
    page.resize(width, 900)
    page.prefer(scheme)
    page.open(tier.url, LIVE)
    assert page.ask("document.documentElement.scrollWidth") <= width
    assert page.picture(tmp_path / f"{scheme}-{width}.png").stat().st_size > 5_000
    page.resize(1280, 900)


def test_lost_connection_is_said_and_mended(page: Page) -> None:
    tier = Tier()
    with ConsoleServer(console_app(tier, tier)) as server:
        port = server.port
        page.open(server.url, LIVE)
    page.wait("document.body.classList.contains('stale')")
    assert "connection lost" in page.text()
    with ConsoleServer(console_app(tier, tier), port=port):
        page.wait("!document.body.classList.contains('stale')")


def test_stopping_gives_the_port_back_with_streams_open(tier: Tier) -> None:
    server = ConsoleServer(console_app(tier, tier))
    server.start()
    with httpx.stream("GET", f"{server.url}/api/stream") as stream:
        assert next(stream.iter_bytes())
        server.stop()
    ConsoleServer(console_app(tier, tier), port=server.port).stop()
