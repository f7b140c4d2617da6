"""Hosts of real cases: who was there, when, and what they offer."""

from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path

import pytest

from workbench.analysis import ranking, sides
from workbench.analysis.hosts import MEASURES, Hosts, Range, hosts
from workbench.analysis.prefixes import address_of, halves_order
from workbench.errors import CancelledError
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks, CaseReader
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

SAMPLES = Path(__file__).parents[2] / "sample_captures"


def opened(name: str, at: Path) -> CaseReader:
    index_sources(IndexRequest((str(SAMPLES / f"{name}.pcapng"),), at))
    return CaseReader(at)


@pytest.fixture(scope="module")
def churn(tmp_path_factory: pytest.TempPathFactory) -> CaseReader:
    return opened("churn", tmp_path_factory.mktemp("churn") / "case")


@pytest.fixture(scope="module")
def lateral(tmp_path_factory: pytest.TempPathFactory) -> CaseReader:
    return opened("esxi-lateral", tmp_path_factory.mktemp("lateral") / "case")


def whole(case: CaseReader, bins: int = 24) -> Range:
    row = case.query("SELECT epoch_us(min(ts)) AS a, epoch_us(max(ts_end)) AS b FROM flows").to_pylist()[0]
    return Range(row["a"], row["b"] + 1, bins)


def found(case: CaseReader, where: Where = EVERYTHING, **more: object) -> Hosts:
    return hosts(case.question(), where, whole(case), **more)  # type: ignore[arg-type]


def test_an_address_that_three_pods_held_has_three_lifelines_apart(churn: CaseReader) -> None:
    host = next(h for h in found(churn).listed if h.ip == "10.244.7.23")
    lines = sorted(host.macs, key=lambda t: t.first)
    assert [t.mac for t in lines] == ["5a:7c:1e:40:11:01", "5a:7c:1e:40:22:02", "5a:7c:1e:40:33:03"]
    assert all(a.last < b.first for a, b in itertools.pairwise(lines))
    assert sum(t.flows for t in lines) == host.flows
    assert not any(a.bins[n] and b.bins[n] for a, b in itertools.pairwise(lines) for n in range(24))


def test_it_adds_up_to_what_the_flows_say(lateral: CaseReader) -> None:
    made = found(lateral, silent=True)
    sums = lateral.query("SELECT count(*) AS n, sum(src_bytes + dst_bytes)::BIGINT AS b FROM flows WHERE src_addr IS NOT NULL")
    assert sum(h.flows for h in made.listed) == 2 * sums["n"][0].as_py()
    assert sum(h.sent for h in made.listed) == sums["b"][0].as_py() == sum(h.received for h in made.listed)
    for host in made.listed[:8]:
        row = lateral.query(
            "SELECT count(DISTINCT CASE WHEN src_addr = ? THEN dst_addr ELSE src_addr END) AS peers, min(ts) AS first FROM flows"
            " WHERE (src_addr = ? OR dst_addr = ?) AND network = ?",
            (host.addr, host.addr, host.addr, host.network),
        ).to_pylist()[0]
        assert host.peers == row["peers"]
        assert host.bins.max() >= 1


def test_what_was_only_asked_for_is_counted_and_listed_where_wanted(lateral: CaseReader) -> None:
    talking, everyone = found(lateral), found(lateral, silent=True)
    assert talking.silent == everyone.silent > 0
    assert len(talking.listed) == talking.talking
    assert all(h.sent_packets for h in talking.listed)
    assert len(everyone.listed) == talking.talking + talking.silent


def test_services_are_what_answered(lateral: CaseReader) -> None:
    offers = {h.ip: h.services for h in found(lateral).listed}
    assert set(offers["10.20.30.14"]) == {"tcp/427 slp", "udp/427 slp"}
    assert offers["10.20.1.77"] == ()


@pytest.mark.parametrize("by", list(MEASURES))
def test_ranked_by_any_measure_both_ways(lateral: CaseReader, by: str) -> None:
    def measure(host: object) -> int:
        names = {"bytes": lambda h: h.sent + h.received}
        return int(names.get(by, lambda h: getattr(h, by))(host))

    down, up = found(lateral, by=by).listed, found(lateral, by=by, descending=False).listed
    assert [measure(h) for h in down] == sorted((measure(h) for h in down), reverse=True)
    assert [measure(h) for h in up] == sorted(measure(h) for h in up)
    assert [h.ip for h in found(lateral, by=by, limit=3).listed] == [h.ip for h in down[:3]]


def test_most_peers_are_found_whether_few_or_all_are_counted(lateral: CaseReader, monkeypatch: pytest.MonkeyPatch) -> None:
    want = [(h.network, h.addr, h.peers) for h in found(lateral, by="peers").listed]
    assert want == sorted(want, key=lambda h: (-h[2], h[0], h[1]))
    asked: list[str] = []

    def noted(case: Asks, sql: str, *rest: object, **more: object) -> ranking.Ranked:
        asked.append(sql)
        return ranked(case, sql, *rest, **more)  # type: ignore[arg-type]

    ranked = ranking._ranked
    monkeypatch.setattr(ranking, "_ranked", noted)
    for candidates, limit in ((2, 2), (len(want) - 1, 1), (len(want) - 1, len(want) - 1), (1000, 4)):
        monkeypatch.setattr(ranking, "_CANDIDATES", candidates)
        assert [(h.network, h.addr, h.peers) for h in found(lateral, by="peers", limit=limit).listed] == want[:limit]
    assert 4 < len(asked) < 8, "some were sure of the few, some were not"


def test_addresses_are_ordered_as_their_bytes_are(lateral: CaseReader) -> None:
    ips = ["::1", "10.0.0.1", "255.255.255.255", "2001:db8::1", "2001:db8::8000:0:0:1", "7fff::", "8000::", "fe80::1", "ff02::1"]
    wide = [f"::ffff:{ip}" if "." in ip else ip for ip in ips]
    packed = [ipaddress.IPv6Address(ip).packed for ip in wide]
    halves = [tuple(int.from_bytes(b[n : n + 8], "big", signed=True) for n in (0, 8)) for b in packed]
    assert [address_of(*h) for h in halves] == packed
    ordered = lateral.query(
        f"SELECT hi, lo FROM (SELECT unnest(?::BIGINT[]) AS hi, unnest(?::BIGINT[]) AS lo) ORDER BY {halves_order('hi', 'lo')}",
        ([h[0] for h in reversed(halves)], [h[1] for h in reversed(halves)]),
    )
    assert [address_of(*h) for h in sides.halves_of(ordered)] == sorted(packed)


def test_a_filter_is_obeyed(lateral: CaseReader) -> None:
    made = found(lateral, Where("dst_port = ? AND ts >= make_timestamp(?)", (427, 0)))
    assert made.talking == len(made.listed) == 5
    assert found(lateral, Where("false")) == Hosts((), 0, 0, 0)


def test_a_question_that_was_stopped_answers_nothing(lateral: CaseReader) -> None:
    question = lateral.question()
    question.stop()
    with pytest.raises(CancelledError):
        hosts(question, EVERYTHING, whole(lateral))
