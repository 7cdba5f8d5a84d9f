"""Great Expectations' site says of every table whether it keeps its contract, and which rule it breaks."""

import re

from data_contracts.data_docs import data_docs
from data_contracts.table_expectations import check_table
from data_contracts.table_limits import KINDS, rules_of_table
from tests.unit.quarantine.test_table_contract import FEATURES, frame, put


def words(page: bytes) -> str:
    return " ".join(re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]*>", " ", page.decode(), flags=re.S).split())


def test_pages_say_what_is_met_and_what_is_broken() -> None:
    tables = {kind: frame() for kind in KINDS} | {"features": put(frame(), "spread_ticks", -1.0)}
    reports = [
        check_table(kind, table, FEATURES, source=f"{kind}/a b#c", instrument="V:S") for kind, table in tables.items()
    ]
    site = data_docs(reports)
    pages = {name.split("/")[1]: words(page) for name, page in site.items() if name.startswith("validations/")}
    assert set(pages) == set(KINDS)
    assert "Status: Failed" in pages["features"]
    assert "Unsuccessful Expectations 1 " in pages["features"]
    assert "Status: Succeeded" in pages["labels"]
    assert "Status: Succeeded" in pages["training_set"]
    for kind in KINDS:
        assert all(rule.name in pages[kind] for rule in rules_of_table(kind, FEATURES))
    assert all(re.fullmatch(r"[\w./-]+", name) for name in site)  # a path in any artifact store, and in a link
    assert site["index.html"].count(b"ge-failed-icon") == 1
    assert sum(map(len, site.values())) < 1_000_000
