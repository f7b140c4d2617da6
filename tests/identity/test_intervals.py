"""Claims cut into intervals, against a naive look at every instant; and what a hostile number of them costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.identity.claimed import claim, moment, seconds, table
from tests.identity.oracle import holders
from workbench.identity.intervals import MOST_CLAIMANTS
from workbench.identity.lookup import Holders
from workbench.identity.workloads import MANY, changes, workloads_of

LAST = 8
TIMES = range(-1, LAST + 2)
PLACES = [(network, last) for network in (None, "", "vni:1") for last in (1, 2)]

_time = st.one_of(st.none(), st.integers(0, LAST))
_claims = st.lists(
    st.builds(
        claim,
        uid=st.sampled_from(["a", "b", "c"]),
        last=st.sampled_from([1, 1, 2, None]),
        network=st.sampled_from([None, "", "vni:1"]),
        name=st.sampled_from([None, "x", "y"]),
        origin=st.sampled_from(["csv", "kubernetes"]),
        confidence=st.sampled_from([0.3, 0.9, 1.0]),
        ts_from=_time,
        ts_to=_time,
        ts_seen=_time,
    ),
    max_size=7,
)


def at_instant(rows: list[dict[str, Any]], network: str | None, last: int, at: int) -> list[dict[str, Any]]:
    """Rows of workloads whose interval holds an instant."""
    now = moment(at)
    assert now is not None
    return [
        r
        for r in rows
        if r["network"] == network
        and r["ip"] == f"10.0.0.{last}"
        and (r["ts_from"] is None or r["ts_from"] <= now)
        and (r["ts_to"] is None or now < r["ts_to"])
    ]


@settings(max_examples=100, deadline=None)
@given(_claims)
def test_every_instant_has_the_claimants_that_looking_at_every_claim_finds(claims: list[dict[str, Any]]) -> None:
    rows = workloads_of(table(claims)).to_pylist()
    for network, last in PLACES:
        for at in TIMES:
            wanted, strength = holders(claims, network, f"10.0.0.{last}", at)
            found = at_instant(rows, network, last, at)
            assert {(r["uid"], r["name"]) for r in found} == wanted
            assert len(found) == len(wanted)
            assert len({(r["ts_from"], r["ts_to"]) for r in found}) <= 1, "intervals overlap"
            assert {r["claimants"] for r in found} <= {len(wanted)}
            assert {r["confidence"] for r in found} <= {strength}


@settings(max_examples=60, deadline=None)
@given(_claims, st.randoms(use_true_random=False))
def test_the_order_of_claims_does_not_matter(claims: list[dict[str, Any]], order: Any) -> None:
    shuffled = list(claims)
    order.shuffle(shuffled)
    assert workloads_of(table(claims)).equals(workloads_of(table(shuffled)))


@settings(max_examples=100, deadline=None)
@given(_claims, _claims)
def test_late_claims_give_what_all_claims_give_from_scratch_and_say_what_they_changed(
    early: list[dict[str, Any]], late: list[dict[str, Any]]
) -> None:
    before = workloads_of(table(early))
    after = workloads_of(table(early + late), None, before)
    scratch = workloads_of(table(early + late))
    assert after.drop_columns(["workload_id"]).equals(scratch.drop_columns(["workload_id"]))
    ids = after["workload_id"].to_pylist()
    assert len(set(ids)) == len(ids)
    told = changes(before, after)
    changed = {(int(lo) & 255): (b, e) for lo, b, e in zip(told.lo, told.begin, told.end, strict=True)}
    old, new = Holders(before), Holders(after)
    for network, last in PLACES:
        for at in TIMES:
            begin, end = changed.get(last, (0, 0))
            if not begin <= _us(at) < end:
                assert ask(old, network, last, at) == ask(new, network, last, at)


@settings(max_examples=60, deadline=None)
@given(_claims)
def test_a_lookup_finds_the_stronger_of_its_network_and_any(claims: list[dict[str, Any]]) -> None:
    workloads = workloads_of(table(claims))
    rows, found = workloads.to_pylist(), Holders(workloads)
    for network in ("", "vni:1", "vlan:7"):
        for last in (1, 2):
            for at in TIMES:
                named, any_ = (at_instant(rows, n, last, at) for n in (network, None))
                best = any_ if any_ and (not named or any_[0]["confidence"] > named[0]["confidence"]) else named
                wid = best[0]["workload_id"] if len(best) == 1 else 0
                assert ask(found, network, last, at) == (wid, len(best))


def _us(at: int) -> int:
    return int(np.datetime64(moment(at), "us").astype(np.int64))


def ask(found: Holders, network: str | None, last: int, at: int) -> tuple[int, int]:
    """What a lookup of one end of one flow says: workload_id and claimants."""
    addresses = {row["lo"] & 255: row["id"] for row in found.addresses.to_pylist()}
    number = found.networks.index(network) + 1 if network in found.networks else 0
    answer = found.ask(*(np.array([n], np.int64) for n in (addresses.get(last, -1), number, _us(at))))
    return int(answer.workload[0]), int(answer.claimants[0])


def test_completion_ends_a_claim_and_a_restart_begins_another() -> None:
    rows = workloads_of(
        table(
            [
                claim("vm", ts_from=0, ts_seen=0),
                claim("vm", None, ts_to=10, ts_seen=10),
                claim("vm", ts_from=20, ts_seen=20),
                claim("pod", ts_from=12),
                claim("pod", None, ts_to=15),
            ]
        )
    ).to_pylist()
    assert [(r["uid"], seconds(r["ts_from"]), seconds(r["ts_to"])) for r in rows] == [
        ("vm", 0, 10),
        ("pod", 12, 15),
        ("vm", 20, None),
    ]


def test_more_claimants_than_are_told_by_name_are_one_row_that_counts_them() -> None:
    rows = workloads_of(table([claim(str(n), ts_from=n) for n in range(MOST_CLAIMANTS + 3)])).to_pylist()
    last = [r for r in rows if r["ts_to"] is None]
    assert [(r["kind"], r["uid"], r["claimants"]) for r in last] == [(MANY, None, MOST_CLAIMANTS + 3)]
    assert max(r["claimants"] for r in rows if r["kind"] != MANY) == MOST_CLAIMANTS


def test_a_network_of_settings_is_that_of_an_origins_claims_that_name_none() -> None:
    claims = table([claim("a", origin="kubernetes"), claim("b", origin="dns"), claim("c", origin="kubernetes", network="vlan:1")])
    rows = workloads_of(claims, {"kubernetes": "vni:5001"}).to_pylist()
    assert {(r["uid"], r["network"]) for r in rows} == {("a", "vni:5001"), ("b", None), ("c", "vlan:1")}


def test_owners_without_a_uid_are_known_by_what_they_are_called() -> None:
    rows = workloads_of(
        table(
            [
                claim(None, 1, name="web", namespace="shop"),
                claim(None, 2, mac="02:00:00:00:00:01"),
                claim(None, 3),
            ]
        )
    ).to_pylist()
    assert [r["uid"] for r in rows] == ["csv:shop/web", "mac:02:00:00:00:00:01", "csv:10.0.0.3"]


def test_what_claims_nothing_is_left_out() -> None:
    broken = [
        claim("a", None),
        claim("b", ts_from=5, ts_to=5),
        claim("c", confidence=float("nan")),
        claim("d", hi=None),
        claim("e", confidence=7.0, last=2),
    ]
    rows = workloads_of(table(broken)).to_pylist()
    assert [(r["uid"], r["confidence"]) for r in rows] == [("c", 0.0), ("e", 1.0)]


def test_claims_that_all_overlap_give_few_rows() -> None:
    """A thousand claimants of one address, each from another time on, are not a thousand times a thousand rows."""
    n = 1000
    rows = workloads_of(table(claim(f"w{i}", ts_from=i, ts_to=5 * n - i) for i in range(n)))
    assert rows.num_rows <= 2 * n * MOST_CLAIMANTS
    assert rows.num_rows < 100
    assert max(rows["claimants"].to_pylist()) == n
