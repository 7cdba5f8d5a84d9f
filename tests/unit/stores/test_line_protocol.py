"""Lines of the writer, read by a strict reader that knows nothing of it."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.events import recording
from support.line_protocol import parse
from support.told import decision, outcome

from data_contracts.errors import UsageError
from market_data.stores.line_protocol import decision_line, event_batches, ordinals, outcome_line, recording_line

_NAMES = st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=("Cs",)), min_size=1, max_size=20)


def test_every_event_is_one_point_of_its_own() -> None:
    made = recording(6_000)
    lines = [parse(line) for batch in event_batches(made, "2023-11-14") for line in batch.decode().split("\n")]
    assert len({(tags["n"], moment) for _, tags, _, moment in lines}) == len(lines) == 6_000
    assert {tags["instrument"] for _, tags, _, _ in lines} == {made.instrument.symbol}
    for name, kind in (("sequence", "unsigned"), ("bid_ticks", "integer"), ("flags", "integer")):
        assert [fields[name] for _, _, fields, _ in lines] == [(kind, value) for value in made.events[name].tolist()]


@given(_NAMES)
def test_whatever_a_name_holds_it_comes_back(name: str) -> None:
    told = msgspec.structs.replace(decision(), instrument=name, abstain=name)
    if name.endswith("\\"):
        with pytest.raises(UsageError, match="does not end in a backslash"):
            decision_line(told)
        return
    table, tags, fields, moment = parse(decision_line(told).decode())
    assert (table, tags["instrument"], fields["abstain"], moment) == (
        "decisions", name, ("string", name), told.event_ns)  # fmt: skip


def test_decisions_and_outcomes_keep_their_numbers() -> None:
    _, tags, fields, _ = parse(decision_line(decision(1_234)).decode())
    assert (tags["n"], fields["decision_id"], fields["action"]) == ("235", ("integer", 1_235), ("integer", -1))
    assert (fields["door"], fields["request_key"]) == (("string", "rest"), ("string", "0123456789abcdef"))
    assert fields["output_3"] == ("float", -1.0)
    unknown = msgspec.structs.replace(decision(), outputs=(None, 1e-30, None, None))
    assert {name for name in parse(decision_line(unknown).decode())[2] if "output" in name} == {"output_1"}
    table, tags, fields, moment = parse(outcome_line(outcome(3)).decode())
    assert (table, tags["kind"], tags["m"], moment) == ("outcomes", "markout", "0", outcome(3).decision_event_ns)
    assert fields["sell_pnl_bps"] == ("float", -1.1)


def test_a_recording_says_what_it_is() -> None:
    made = recording()
    _, tags, fields, moment = parse(recording_line(made, "2023-11-14", made.fingerprint).decode())
    assert (tags["day"], fields["events"], moment) == ("2023-11-14", ("integer", 500), int(made.events["event_ns"][0]))
    assert fields["tick_size"] == ("string", "0.01")


def test_ordinals_count_within_a_nanosecond() -> None:
    assert ordinals(np.array([1, 1, 2, 5, 5, 5])).tolist() == [0, 1, 0, 0, 1, 2]
    assert ordinals(np.array([], np.int64)).tolist() == []
