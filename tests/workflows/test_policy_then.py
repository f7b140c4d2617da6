"""The time machine on the sample's attack: what would have been stopped from when on, what got through, and the cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.policy.history import read_history, resolver_of
from workbench.policy.loader import load
from workbench.store.pages import Where
from workbench.store.reader import CaseReader
from workbench.workflows.ingest import index_sources
from workbench.workflows.policy_then import flows_in_question, had_been
from workbench.workflows.requests import IndexRequest

SAMPLE = Path(__file__).parents[2] / "sample_captures" / "esxi-lateral.pcapng"
POLICY = """apiVersion: workbench/v1
kind: Policy
metadata: {name: then}
rules:
  - {name: slp, tier: quarantine, priority: 1, action: deny, from: 10.20.1.77, to: 10.20.30.0/24, services: [udp/427], EXPIRES}
defaults: {east_west: allow}
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    root = tmp_path_factory.mktemp("then") / "case"
    index_sources(IndexRequest((str(SAMPLE),), root))
    with CaseReader(root) as reader:
        yield reader


def thens(case, expires="", services="udp/427", sql="src_ip = '10.20.1.77' AND dst_ip LIKE '10.20.30.%'", chosen=()):
    question = case.question()
    policy = load([("p", POLICY.replace(", EXPIRES", expires).replace("udp/427", services))]).policy
    ids = flows_in_question(question, Where(sql, ()))
    return had_been(read_history(question), policy, resolver_of(question), ids, chosen), ids


def told(case, sql):
    return case.query(f"SELECT count(*) AS n, sum(src_bytes + dst_bytes)::BIGINT AS b FROM flows WHERE {sql}").to_pylist()[0]


def test_each_time_counts_what_begins_later(case):
    found, ids = thens(case)
    assert found.flows == len(ids) == 38
    assert [row.since for row in found.rows] == sorted(row.since for row in found.rows)
    for row in found.rows:
        theirs = "src_ip = '10.20.1.77' AND dst_ip LIKE '10.20.30.%'"
        later = f"{theirs} AND epoch_us(ts) >= {row.since}"
        slp = "dst_port = 427 AND proto = 17"
        assert row.stopped == told(case, f"{later} AND {slp}")["n"], row.why
        assert row.through == len(row.passed) == told(case, f"{later} AND NOT ({slp})")["n"]
        assert row.before == told(case, f"{theirs} AND epoch_us(ts) < {row.since}")["n"]
        assert (row.cut, row.denied, row.pairs) == (0, 0, 0)
    first = found.rows[0]
    assert first.why == "from the beginning"
    assert first.first_stopped >= found.first
    assert found.rows[-1].stopped + found.rows[-1].through < first.stopped + first.through


def test_what_it_costs_is_what_is_not_in_question(case):
    found, _ = thens(case, sql="dst_ip = '10.20.30.11' AND src_ip = '10.20.1.77'")
    others = told(
        case, "src_ip = '10.20.1.77' AND dst_ip LIKE '10.20.30.%' AND dst_ip <> '10.20.30.11' AND dst_port = 427 AND proto = 17"
    )
    assert (found.rows[0].denied, found.rows[0].bytes) == (others["n"], others["b"])
    assert found.rows[0].pairs > 1


def test_a_rule_of_a_length_of_time_ends_and_one_that_cuts_ends_sessions(case):
    lasting, _ = thens(case, ", expires: 1s")
    assert lasting.rows[0].stopped == 0  # the attack came later than a second after the beginning
    assert lasting.rows[1].stopped > 0
    lasting = "src_ip = '10.20.1.77' AND dst_ip LIKE '10.20.30.%' AND dst_port = 427 AND proto = 6 AND ts_end > ts"
    at = case.query(f"SELECT min(epoch_us(ts)) + 1 AS at FROM flows WHERE {lasting}")["at"][0].as_py()
    kept, _ = thens(case, services="tcp/427", chosen=[(at, "chosen")])
    cut, _ = thens(case, ", existing: cut", services="tcp/427", chosen=[(at, "chosen")])
    assert [row.cut for row in kept.rows if row.why == "chosen"] == [0]
    assert [row.cut for row in cut.rows if row.why == "chosen"] == [1]


def test_nothing_in_question(case):
    found, _ = thens(case, sql="false")
    assert (found.flows, found.rows) == (0, ())
