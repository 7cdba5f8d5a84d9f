"""The page of evidence: whole, self-contained, and safe whatever a name says."""

import math
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from data_contracts.policy import Policy
from serving.controller.evidence_page import evidence_page
from serving.controller.plot import Line, Mark, line_chart

VOID = {"meta", "br", "hr", "link", "img", "line", "path"}


class Balanced(HTMLParser):
    """Every element that is opened is closed, in order; remembers them and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def document(**changes: Any) -> dict[str, Any]:
    ended = {
        "rollout_id": 7,
        "kind": "challenger",
        "version": 5,
        "control": 4,
        "verdict": "rolled_back",
        "guardrail": "pnl",
        "decision": 1234,
        "reason": "earned 0.4 bps a decision less than the champion",
    }
    reading = {"e_value": 40.0, "threshold": 33.3, "evidence": 1.05, "events": 9, "detail": "earned less"}
    arm = {
        "decisions": 10,
        "trades": 3,
        "pnl_bps": -4.5,
        "paper_pnl_bps": 1e6,
        "late": 0,
        "failed": 0,
        "latency_p50_us": 20.0,
        "latency_p99_us": None,
    }
    made = {
        "model": "tilt",
        "ended": ended,
        "policy": msgspec.to_builtins(Policy()),
        "journal_records": 99,
        "decisions": {"folded": 900},
        "overlap_decisions": 4,
        "guardrails": [{"name": name, **reading} for name in ("pnl", "latency", "errors")],
        "promotion_e_value": None,
        "arms": [
            {"version": 4, "arm": "champion", "latency_steps": [[10.0, 0.5], [20.0, 1.0]], **arm},
            {"version": 5, "arm": "challenger", "latency_steps": [], **arm},
        ],
        "series": [
            {"folded": n, "decision": n, "event_ns": n, "judged_bps": -n * 1.0, "control_bps": 0.0,
             "evidence": {"pnl": n / 9, "latency": 1000.0, "errors": -3.0, "promotion": 0.0}}
            for n in range(1, 11)
        ],
    }  # fmt: skip
    return {**made, **changes}


def read(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return parser


def test_page_says_what_happened_and_how_to_see_it_again() -> None:
    page = read(evidence_page(document()))
    for words in ("tilt", "Version 5", "rolled back", "against version 4", "at decision 1,234", "earned 0.4 bps",
                  "ringcraft judge", "rollout-7.json", "guardrails.pnl.error_rate", "0.03"):  # fmt: skip
        assert words in page.text
    assert sum(tag == "svg" for tag, _ in page.seen) == 6


def test_page_asks_nobody_for_anything() -> None:
    page = evidence_page(document())
    assert not re.search(r"https?:|url\(|@import", page)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in read(page).seen}


def test_names_are_text_and_nothing_else() -> None:
    ended = {**document()["ended"], "reason": "<script>alert(1)</script> & co"}
    page = read(evidence_page(document(model='<img src="x">', ended=ended)))
    assert "<script>alert(1)</script> & co" in page.text
    assert not {"script", "img"} & {tag for tag, _ in page.seen}


def test_what_is_not_a_number_is_said_so() -> None:
    """JSON has null for it."""
    made = document(overlap_decisions=0)
    for arm in made["arms"]:
        arm |= {"pnl_bps": None, "paper_pnl_bps": None, "latency_p50_us": None}
    for reading in made["guardrails"]:
        reading["e_value"] = None
    for point in made["series"][3:]:
        point |= {"judged_bps": None, "control_bps": None}
    assert "not a number" in read(evidence_page(made)).text


def test_little_evidence_makes_a_short_page() -> None:
    bare = {name: document()[name] for name in ("model", "ended", "policy", "journal_records")}
    assert "PnL on paper" not in read(evidence_page(bare)).text


@pytest.mark.parametrize(
    "values", [[1.0], [0.0, 0.0], [1e-9, 1e9], [None, 3.0, None, 4.0], [math.nan, 1.0], [-1e300, 1e300]]
)
@pytest.mark.parametrize("log_x", [True, False])
def test_chart_is_well_formed_and_inside_its_frame(values: list[float | None], log_x: bool) -> None:
    points = [(float(n), value) for n, value in enumerate(values, start=1)]
    svg = line_chart([Line("a & b", "judged", points)], x_label="x", marks=(Mark(0.5, "<half>"),), log_x=log_x)
    root = ElementTree.fromstring(svg)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for path in root.iter("path"):
        for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path.attrib["d"]):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height


def test_nothing_known_draws_nothing() -> None:
    assert line_chart([Line("a", "judged", [(1.0, None)])], x_label="x") == ""
