"""The word `safe` rests on what was seen: it is refused for every single reason that the design names, and only for those."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from workbench.workflows.policy_coverage import Coverage, coverage_of

WHOLE = Coverage(1, 1000, 0, 0, 0, 0, (), 1)


class Case:
    """A case that answers what it was given."""

    def __init__(self, sources: dict[str, Any], ledger: list[dict[str, Any]], sampling: int) -> None:
        self._said = {"sources": [sources], "ledger": ledger, "flows": [{"n": sampling}]}

    def query(self, sql: str, params: Any = ()) -> pa.Table:
        rows = next(rows for name, rows in self._said.items() if f"FROM {name}" in sql)
        return pa.Table.from_pylist(rows, None if rows else pa.schema([]))


def test_what_is_seen_whole_may_be_called_safe() -> None:
    assert WHOLE.why_not_safe() == []
    assert WHOLE.line() == "coverage: 1,000 packets of 1 source, 0 dropped, sampling 1:1, 0 undecoded"
    assert replace(WHOLE, dropped=52).why_not_safe() == [], "95.06 %"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"dropped": 53}, "95.0 % of packets seen, less than 95 %"),
        ({"undecoded": 51}, "94.9 % of packets seen, less than 95 %"),
        ({"silent": 1}, "drops unknown"),
        ({"sampling": 2}, "sampling 1:2"),
        ({"indexing": 1}, "still being indexed"),
        ({"unseen": (("capture_gap", 3),)}, "capture gap"),
        ({"packets": 0}, "no packets were counted"),
    ],
)
def test_each_gap_takes_the_word_away(change: dict[str, Any], why: str) -> None:
    assert replace(WHOLE, **change).why_not_safe() == [why]


def test_what_is_missing_is_told() -> None:
    cover = replace(WHOLE, sources=3, silent=2, unseen=(("capture_gap", 0), ("telemetry_lost", 5)))
    assert "drops unknown of 2 of 3 sources" in cover.line()
    assert cover.line().endswith("unseen: capture gap, telemetry lost 5")


def test_it_is_read_from_sources_ledger_and_flows() -> None:
    sums = {"sources": 2, "packets": 500, "dropped": 4, "silent": 1, "indexing": 0}
    ledger = [
        {"reason": "ip_truncated", "kind": "undecoded", "n": 7},
        {"reason": "llc", "kind": "undecoded", "n": 9},
        {"reason": "interface_dropped", "kind": "unseen", "n": 2},
        {"reason": "telemetry_lost", "kind": "unseen", "n": 5},
    ]
    assert coverage_of(Case(sums, ledger, 1)) == Coverage(2, 500, 6, 1, 0, 7, (("telemetry_lost", 5),), 1)
    assert coverage_of(Case(sums, [{"reason": "sampled", "kind": "unseen", "n": 0}], 1)).sampling > 1
    assert coverage_of(Case(sums, [], 64)).sampling == 64
