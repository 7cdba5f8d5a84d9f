"""Great Expectations' own site over its validation results: what was asked of each table, and whether it was met."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from data_contracts import expectations
from data_contracts.expectations import ContractReport

_GX: Any = expectations.gx  # type: ignore[attr-defined]  # imported there, once its log is silenced
_KEPT: Final = (".html", ".css")
"""Of the site's files; left out are 4 MB of fonts, logos and animations."""


def data_docs(reports: Sequence[ContractReport]) -> dict[str, bytes]:
    """Return the site's files by path below its root: index.html, a page a suite, a page a report.

    The pages read without a network, but plainly: Great Expectations has browsers fetch Bootstrap from elsewhere.
    """
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResultSchema
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    with tempfile.TemporaryDirectory() as part:
        context, run = _context(part), RunIdentifier(run_name="contract")
        for index, report in enumerate(reports):
            name, found = Path(report.source).name, ExpectationSuiteValidationResultSchema().load(report.judged)
            found.meta |= {"run_id": run, "batch_spec": {"data_asset_name": name}}
            asked = [each.expectation_config for each in found.results]
            context.suites.add_or_update(_GX.ExpectationSuite(name=found.suite_name, expectations=asked))
            key = ValidationResultIdentifier(
                expectation_suite_identifier=ExpectationSuiteIdentifier(name=found.suite_name),
                run_id=run,
                batch_identifier=f"{index}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-')}",
            )
            context.validation_results_store.set(key, found)
        context.build_data_docs()
        files = (path for path in sorted(Path(part).rglob("*")) if path.suffix in _KEPT)
        return {path.relative_to(part).as_posix(): path.read_bytes() for path in files}


def _context(folder: str) -> Any:  # noqa: ANN401  the library publishes no types
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    return expectations.quiet_context({"contracts": site})
