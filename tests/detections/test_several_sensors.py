"""The four mirrors of one lab, captured at once by real programs, are four sensors of the same conversations."""

from __future__ import annotations

from workbench.store.reader import CaseReader

SOURCES = "SELECT * FROM sources WHERE path LIKE '%/mirror-%'"
LINKED = """
SELECT conversation_id, count(*) AS n, count(DISTINCT tunnel) AS tunnels FROM hops
WHERE source_id IN (SELECT source_id FROM sources WHERE path LIKE '%/mirror-%') GROUP BY 1
"""
ALONE = """
SELECT path FROM sources WHERE clock_offset_us IS NOT NULL
AND NOT regexp_matches(path, '/(mirror-|telemetry-|overlays)[^/]*$')
"""


def test_what_four_mirrors_saw_is_linked_through_their_tunnels_and_counted_once(sampled: CaseReader) -> None:
    rows = sampled.query(SOURCES).to_pylist()
    assert len(rows) == 4
    assert len({row["clock_reference"] for row in rows}) == 1
    for row in rows:  # one machine, one clock; a mirror's own delay looks like one that is ahead
        assert abs(row["clock_offset_us"]) < 1_000, row["path"]
        assert row["clock_error_us"] < 5_000
    linked = sampled.query(LINKED).to_pylist()
    assert sum(row["n"] == 4 for row in linked) >= 0.8 * len(linked) > 0
    assert max(row["tunnels"] for row in linked) >= 2


def test_samples_of_other_networks_share_nothing(sampled: CaseReader) -> None:
    assert sampled.query(ALONE).to_pylist() == []
