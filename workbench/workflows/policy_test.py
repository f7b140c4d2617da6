"""Testing a policy: its own tests, and what it would have done to recorded flows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.policy.expected import Outcome
    from workbench.policy.loader import Loaded
    from workbench.workflows.policy_at import AsOf

_COLUMNS: Final = ("test", "result", "from", "to", "service", "expect", "verdict", "rule", "example", "stood_in", "file", "line")

#: What a table on a terminal shows.
TABLE_COLUMNS: Final = ("result", "test", "expect", "verdict", "rule", "example")


@dataclass(frozen=True, slots=True)
class Tested:
    """A policy's own tests. rows: one a test; lines: those that fail, in words."""

    rows: pa.Table
    passed: int
    failed: tuple[str, ...]
    notes: tuple[str, ...]


def run_tests(loaded: Loaded, moment: AsOf) -> Tested:
    """Every test that the policy has, in order. PolicyError where its rules contradict each other: no verdict would be one."""
    import pyarrow as pa

    from workbench.policy.contradictions import refuse_as_known
    from workbench.policy.expected import check
    from workbench.workflows.policy_sides import stood_in

    refuse_as_known(loaded, moment.resolver, moment.now)
    outcomes = check(loaded, moment.resolver, moment.now)
    schema = pa.schema([(name, pa.int32() if name == "line" else pa.string()) for name in _COLUMNS])
    rows = pa.Table.from_pylist([_row(one) for one in outcomes], schema)
    failed = tuple(f"{one.file}:{one.line}: {one.test.name}: {_why(one)}" for one in outcomes if not one.passed)
    groups = sorted({name for one in outcomes for name in one.stood_in})
    return Tested(rows, len(outcomes) - len(failed), failed, tuple(stood_in(groups, moment)))


def read(path: Path) -> Loaded:
    """The policy at that path. PolicyError, MissingPathError as `read_policy`."""
    from workbench.policy.reading import read_policy

    return read_policy(path)


def _row(one: Outcome) -> dict[str, Any]:
    test = one.test
    return {
        "test": test.name,
        "result": "pass" if one.passed else "fail",
        "from": test.from_,
        "to": test.to,
        "service": test.service,
        "expect": test.expect,
        "verdict": one.verdict or None,
        "rule": one.rule or None,
        "example": _example(one) or None,
        "stood_in": ", ".join(one.stood_in) or None,
        "file": one.file,
        "line": one.line,
    }


def _why(one: Outcome) -> str:
    if one.example is None:
        return f"no packet goes from {one.test.from_} to {one.test.to}: it tests nothing"
    decided = f"by {one.rule}" if one.rule else "since no rule and no default is about it"
    return f"{one.test.expect} is expected, {one.verdict} is what {_example(one)} gets, {decided}"


def _example(one: Outcome) -> str:
    from workbench.policy.wording import packet_text

    return "" if one.example is None else packet_text(one.example, one.called)
