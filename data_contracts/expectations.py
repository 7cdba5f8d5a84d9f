"""A recording's contract as a Great Expectations suite.

Great Expectations takes three seconds to import, so nothing but the flows that check imports this module.
"""

# ruff: noqa: E402  the library is silenced before it is imported
import logging
from typing import Any

# Before the import: with a root logger at INFO, as Prefect may leave it, the library tells of its own insides.
logging.getLogger("great_expectations").setLevel(logging.ERROR)

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
from msgspec import Struct

from data_contracts.limits import RecordingLimits, Rule, measure, rules_of
from data_contracts.recording import Recording

_EXPECTATIONS: Any = gx.expectations


class RuleResult(Struct, frozen=True, kw_only=True):
    """What one rule expected and what was seen."""

    rule: Rule
    observed: str
    met: bool
    bad_rows: int


class ContractReport(Struct, frozen=True, kw_only=True):
    """The whole contract, rule by rule."""

    source: str
    instrument: str
    events: int
    skipped: dict[str, int]
    results: tuple[RuleResult, ...]
    judged: dict[str, Any] = {}
    """Great Expectations' own result, as it writes it to JSON; what its data docs are made of."""

    @property
    def met(self) -> bool:
        """Whether every rule is met."""
        return all(result.met for result in self.results)

    @property
    def broken(self) -> tuple[RuleResult, ...]:
        """Rules that are not met."""
        return tuple(result for result in self.results if not result.met)


def build_suite(limits: RecordingLimits) -> Any:  # noqa: ANN401  the library publishes no types
    """Return the Great Expectations suite that asks `limits`, one expectation a rule, in the rules' order."""
    return gx.ExpectationSuite(name="recording", expectations=[_expectation(rule) for rule in rules_of(limits)])


def check_recording(recording: Recording, limits: RecordingLimits | None = None) -> ContractReport:
    """Validate every event of `recording` (no sampling) and say what was expected and seen.

    Args:
        recording: any number of events; an empty one breaks the rule on their number.
        limits: default: RecordingLimits().
    """
    limits = limits or RecordingLimits()
    batch = pd.DataFrame(measure(recording)) if len(recording) else pd.DataFrame(columns=list(_columns(limits)))
    outcome = validate_frame(batch, build_suite(limits))
    by_rule = {result.expectation_config.meta["rule"]: result for result in outcome.results}
    return ContractReport(
        source=str(recording.source),
        instrument=recording.instrument.symbol,
        events=len(recording),
        skipped=dict(recording.skipped),
        results=tuple(_result(rule, by_rule[rule.name]) for rule in rules_of(limits)),
        judged=outcome.to_json_dict(),
    )


def _columns(limits: RecordingLimits) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule.column for rule in rules_of(limits) if rule.column is not None))


def _expectation(rule: Rule) -> Any:  # noqa: ANN401  the library publishes no types
    asked: dict[str, Any] = {"min_value": rule.low, "max_value": rule.high, "meta": {"rule": rule.name}}
    if rule.column is None:
        return _EXPECTATIONS.ExpectTableRowCountToBeBetween(**asked)
    return _EXPECTATIONS.ExpectColumnValuesToBeBetween(column=rule.column, mostly=rule.mostly, **asked)


def validate_frame(batch: pd.DataFrame, suite: Any) -> Any:  # noqa: ANN401  the library publishes no types
    """Return what Great Expectations says of `batch` held against `suite`."""
    context = quiet_context({})
    source = context.data_sources.add_pandas("recording")
    definition = source.add_dataframe_asset("events").add_batch_definition_whole_dataframe("all")
    return definition.get_batch({"dataframe": batch}).validate(suite, result_format="BASIC")


def quiet_context(sites: dict[str, Any]) -> Any:  # noqa: ANN401  the library publishes no types
    """Return a context of this process alone, which asks nobody, tells nobody and builds no sites but `sites`."""
    # Without sites of the stores' own nothing is written anywhere, neither in the user's home nor in the temporary.
    stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(store_backend_defaults=stores, analytics_enabled=False, data_docs_sites=sites)
    context: Any = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = {"globally": False}
    return context


def _result(rule: Rule, outcome: Any) -> RuleResult:  # noqa: ANN401  the library publishes no types
    seen = outcome.result or {}
    if rule.column is None:
        return RuleResult(
            rule=rule, observed=f"{seen['observed_value']:,} events", met=outcome.success is True, bad_rows=0
        )
    bad, given = int(seen.get("unexpected_count") or 0), int(seen.get("element_count") or 0)
    observed = f"{bad:,} of {given:,} events against it ({bad / given:.2%})" if bad else f"none of {given:,} against it"
    if bad and (rule.low, rule.high) != (0, 0):
        observed += ", for example " + ", ".join(_example(rule, value) for value in seen["partial_unexpected_list"][:3])
    return RuleResult(rule=rule, observed=observed, met=outcome.success is True, bad_rows=bad)


def _example(rule: Rule, value: float) -> str:
    """Return an offending value as a person reads it: times in milliseconds, moves in percent."""
    if rule.column == "event_step_ns":
        return f"{value / 1e6:+,.1f} ms"
    return f"{value:+.2%}" if rule.column == "mid_move" else f"{value:g}"
