"""Tables held against their limits: Polars counts, Great Expectations judges the counts.

Great Expectations reads pandas alone; of a million rows it is handed one row with the counts, taken over every row.
"""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from data_contracts import expectations
from data_contracts.expectations import ContractReport, RuleResult, validate_frame
from data_contracts.feature_set import FeatureSet
from data_contracts.limits import Rule
from data_contracts.table_limits import Kind, rules_of_table, suite_name

_GX: Any = expectations.gx  # type: ignore[attr-defined]  # imported there, once its log is silenced
_SHOWN = 3


def table_suite(kind: Kind, features: FeatureSet, *, min_rows: int = 500) -> Any:  # noqa: ANN401  no types published
    """Return the Great Expectations suite over the counts: no row against a rule, and rows enough."""
    rules = rules_of_table(kind, features, min_rows=min_rows)
    return _GX.ExpectationSuite(name=suite_name(kind, features), expectations=[_expectation(rule) for rule in rules])


def check_table(
    kind: Kind, frame: pl.DataFrame, features: FeatureSet, *, source: str, instrument: str, min_rows: int = 500
) -> ContractReport:
    """Hold every row of `frame` against the limits of its kind.

    Args:
        kind: which suite.
        frame: the columns that the kind's rules name.
        features: the set the table was made with.
        source: what the table is of, for the report.
        instrument: its symbol.
        min_rows: fewer break the contract.
    """
    rules = rules_of_table(kind, features, min_rows=min_rows)
    counted = counts(frame, rules)
    outcome = validate_frame(pd.DataFrame(counted), table_suite(kind, features, min_rows=min_rows))
    met = {result.expectation_config.meta["rule"]: result.success is True for result in outcome.results}
    return ContractReport(
        source=f"{source} ({suite_name(kind, features)})",
        instrument=instrument,
        events=len(frame),
        skipped={},
        results=tuple(_result(rule, frame, counted, met=met[rule.name]) for rule in rules),
        judged=outcome.to_json_dict(),
    )


def counts(frame: pl.DataFrame, rules: tuple[Rule, ...]) -> dict[str, list[int]]:
    """Return the rows against each rule, by its name, in one pass; a missing or NaN value is against it."""
    asked = [(~_met(rule)).fill_null(value=True).sum().alias(rule.name) for rule in rules if rule.column is not None]
    found = frame.select(asked).row(0, named=True) if asked else {}
    return {rule.name: [int(found.get(rule.name, len(frame)))] for rule in rules}


def rows_met(frame: pl.DataFrame, rules: tuple[Rule, ...]) -> np.ndarray:
    """Return whether each row meets every rule on a column, shape (n,)."""
    met = [_met(rule).fill_null(value=False) for rule in rules if rule.column is not None]
    return frame.select(pl.all_horizontal(met)).to_series().to_numpy()


def rows_against(frame: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """Return the rows that break `rule`, behind its name, their value and where they stand in `frame`."""
    if rule.column is None:
        frame = frame.clear()
    bad = frame.with_row_index("row").filter((~_met(rule)).fill_null(value=True) if rule.column else pl.lit(value=True))
    value = pl.col(rule.column).cast(pl.Float64) if rule.column else pl.lit(None, dtype=pl.Float64)
    return bad.select(pl.lit(rule.name).alias("rule"), value.alias("value"), pl.all())


def _met(rule: Rule) -> pl.Expr:
    # As float64: Polars would round a limit to the column's float32, and let what lies just outside pass.
    column = pl.col(rule.column or "").cast(pl.Float64)
    low = pl.lit(value=True) if rule.low is None else column >= rule.low
    high = pl.lit(value=True) if rule.high is None else column <= rule.high
    # Polars holds NaN above every number: asked as "met", it has to fail.
    return low & high & column.is_not_nan()


def _expectation(rule: Rule) -> Any:  # noqa: ANN401
    low, high = (rule.low, None) if rule.column is None else (None, 0)
    return _GX.expectations.ExpectColumnValuesToBeBetween(
        column=rule.name, min_value=low, max_value=high, meta={"rule": rule.name}
    )


def _result(rule: Rule, frame: pl.DataFrame, counted: dict[str, list[int]], *, met: bool) -> RuleResult:
    if rule.column is None:
        return RuleResult(rule=rule, observed=f"{len(frame):,} rows", met=met, bad_rows=0)
    bad = counted[rule.name][0]
    observed = f"{bad:,} of {len(frame):,} rows against it" if bad else f"none of {len(frame):,} against it"
    if bad:
        examples = frame.filter((~_met(rule)).fill_null(value=True))[rule.column].head(_SHOWN).to_list()
        observed += ", for example " + ", ".join(f"{value:g}" if value is not None else "none" for value in examples)
    return RuleResult(rule=rule, observed=observed, met=met, bad_rows=bad)
