"""What schemathesis is told beside the document: that a model abstains is no fault of the door's."""

from typing import Any

import schemathesis

FAR = 1000.0
"""Features farther out than this may have no output."""
LATE_MS = 100_000
LATE = {"deadline_ms": LATE_MS, "timeout": LATE_MS * 1000}
"""Deadlines sooner than this may pass on a machine that is busy."""


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out a header that nobody knows: HTTP has it ignored."""
    return not any("unknown" in name.lower() for name in case.headers or {})


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: Any) -> None:
    """Raise deadlines here too: what the coverage phase makes passes by the hooks that map."""
    name = "Ringcraft-Deadline-Ms"
    if case.headers and name in case.headers:
        case.headers[name] = later(case.headers[name], LATE_MS)
    if isinstance(case.body, dict):
        case.body = map_body(context, case.body)


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    if isinstance(body, dict):
        return {name: member(context, name, value) for name, value in body.items()}
    return [map_body(context, one) for one in body] if isinstance(body, list) else body


def member(context: schemathesis.HookContext, name: str, value: Any) -> Any:
    if name in LATE:
        return later(value, LATE[name])
    return near(value) if name in {"features", "data"} else map_body(context, value)


def later(value: Any, least: int) -> Any:
    """Raise a deadline that is one; what is wrong stays wrong."""
    try:
        number = float(value) if not isinstance(value, bool) else 0
    except (TypeError, ValueError):
        return value
    return type(value)(least) if 0 < number < least else value


def near(value: Any) -> Any:
    if isinstance(value, list):
        return [near(one) for one in value]
    return max(-FAR, min(FAR, value)) if type(value) in (int, float) else value
