"""What the overview asks: every number against a count over the same rows in plain Python."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from workbench.analysis.arrivals import arrivals
from workbench.analysis.east_west import paths, verdicts
from workbench.analysis.found import found
from workbench.analysis.leads import leads
from workbench.analysis.mix import split, states
from workbench.analysis.places import host_sql, host_text_sql, inside_sql, inside_text_sql, place_sql
from workbench.analysis.prefixes import Prefix
from workbench.analysis.talkers import services, talkers
from workbench.store.pages import EVERYTHING, Where, extent
from workbench.store.reader import CaseReader
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

SAMPLES = Path(__file__).parents[2] / "sample_captures"
TCP = Where("proto = ?", (6,))
BOTH = pytest.mark.parametrize("where", [EVERYTHING, TCP], ids=["all", "tcp"])


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    def opened(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("cases") / name
            index_sources(IndexRequest((str(SAMPLES / f"{name}.pcapng"),), folder))
            made[name] = CaseReader(folder)
        return made[name]

    made: dict[str, CaseReader] = {}
    yield opened
    for reader in made.values():
        reader.close()


def rows_of(reader, where):
    rows = reader.query("SELECT * FROM flows").to_pylist()
    return [r for r in rows if where is EVERYTHING or r["proto"] == 6]


def is_host(text):
    address = ipaddress.ip_address(text)
    return not (address.is_multicast or address.is_unspecified or text == "255.255.255.255")


@BOTH
def test_talkers_sum_both_sides(case, where):
    reader = case("esxi-lateral")
    sent, received, flows = Counter(), Counter(), Counter()
    for row in rows_of(reader, where):
        for one, other in (("src", "dst"), ("dst", "src")):
            host = row[f"{one}_ip"]
            if not is_host(host):
                continue
            sent[host] += row[f"{one}_bytes"]
            received[host] += row[f"{other}_bytes"]
            flows[host] += 1
    got = talkers(reader, where, count=12).to_pylist()
    by_bytes = sorted(flows, key=lambda h: (-(sent[h] + received[h]), h))[:12]
    by_flows = sorted(flows, key=lambda h: (-flows[h], h))[:12]
    assert {r["host"] for r in got} == {*by_bytes, *by_flows}
    assert [r["host"] for r in sorted(got, key=lambda r: r["by_flows"])][:12] == by_flows
    assert [r["host"] for r in got][:12] == by_bytes
    for row in got:
        host = row["host"]
        assert (row["sent"], row["received"], row["flows"]) == (sent[host], received[host], flows[host])


@BOTH
def test_services_have_a_label_where_none_was_seen(case, where):
    reader = case("esxi-lateral")
    flows, size = Counter(), Counter()
    for row in rows_of(reader, where):
        port = f"/{row['dst_port']}" if row["proto"] in (6, 17, 132) else ""
        label = row["service"] or row["proto_name"] + port
        flows[label] += 1
        size[label] += row["src_bytes"] + row["dst_bytes"]
    for by, amounts in (("bytes", size), ("flows", flows)):
        got = services(reader, where, by, 8).to_pylist()
        assert [r["label"] for r in got] == sorted(amounts, key=lambda k: (-amounts[k], k))[:8]
        assert all((r["flows"], r["bytes"]) == (flows[r["label"]], size[r["label"]]) for r in got)


def test_a_service_that_was_seen_is_not_split_by_port(tmp_path):
    class Rows:
        def query(self, sql, params=()):
            import duckdb

            con = duckdb.connect()
            con.sql(
                "CREATE TABLE flows AS SELECT * FROM (VALUES ('tls', 6, 'tcp', 443, 1, 2), ('tls', 6, 'tcp', 8443, 3, 4),"
                " (NULL, 1, 'icmp', 8, 5, 6), ('', 17, 'udp', 53, 0, 1))"
                " t(service, proto, proto_name, dst_port, src_bytes, dst_bytes)"
            )
            return con.sql(sql, params=params or None).to_arrow_table()

    got = services(Rows(), EVERYTHING).to_pylist()
    assert [(r["label"], r["flows"], r["bytes"], r["service"], r["port"]) for r in got] == [
        ("icmp", 1, 11, None, None),
        ("tls", 2, 10, "tls", None),
        ("udp/53", 1, 1, None, 53),
    ]


@pytest.mark.parametrize("name", ["churn", "esxi-lateral"])
def test_arrivals(case, name):
    reader = case(name)
    start, end = extent(reader)
    end += 1
    first, last = {}, {}
    for row in rows_of(reader, EVERYTHING):
        for host in (row["src_ip"], row["dst_ip"]):
            if not is_host(host):
                continue
            first[host] = min(first.get(host, row["ts"]), row["ts"])
            last[host] = max(last.get(host, row["ts_end"]), row["ts_end"])
    edge = dt.timedelta(microseconds=int((end - start) * 0.1))
    begin, finish = (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=t) for t in (start, end))
    new = {h for h in first if first[h] > begin + edge}
    gone = {h for h in last if last[h] < finish - edge}
    got = arrivals(reader, start, end, count=1000)
    assert (got.hosts, got.new_count, got.vanished_count) == (len(first), len(new), len(gone))
    assert set(got.new["host"].to_pylist()) == new
    assert set(got.vanished["host"].to_pylist()) == gone
    assert all(r["first"] == first[r["host"]] for r in got.new.to_pylist())
    few = arrivals(reader, start, end, count=2)
    assert few.new.to_pylist() == got.new.to_pylist()[:2]
    assert (few.new_count, few.vanished_count) == (len(new), len(gone))


def test_arrivals_of_nothing(case):
    reader = case("churn")
    start, end = extent(reader)
    got = arrivals(reader, start, end, Where("false"))
    assert (got.hosts, got.new_count, got.new.num_rows) == (0, 0, 0)
    with pytest.raises(ValueError):
        arrivals(reader, 5, 5)


def test_states_and_split_are_everything(case):
    reader = case("esxi-lateral")
    rows = rows_of(reader, EVERYTHING)
    assert Counter({r["state"]: r["flows"] for r in states(reader).to_pylist()}) == Counter(r["conn_state"] for r in rows)
    table = split(reader).to_pylist()
    assert sum(r["flows"] for r in table) == len(rows)
    assert sum(r["bytes"] for r in table) == sum(r["src_bytes"] + r["dst_bytes"] for r in rows)
    assert {"inside", "group"} <= {r["target"] for r in table}


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("10.0.0.1", "inside"),
        ("9.255.255.255", "outside"),
        ("172.31.255.255", "inside"),
        ("172.32.0.0", "outside"),
        ("192.168.0.0", "inside"),
        ("100.63.255.255", "outside"),
        ("100.64.0.0", "inside"),
        ("100.127.255.255", "inside"),
        ("100.128.0.0", "outside"),
        ("169.254.1.1", "inside"),
        ("224.0.0.1", "group"),
        ("240.0.0.1", "outside"),
        ("255.255.255.255", "group"),
        ("fd00::1", "inside"),
        ("fe80::1", "inside"),
        ("fec0::1", "outside"),
        ("2001:db8::1", "outside"),
        ("ff02::1", "group"),
        ("::", "group"),
        ("::1", "inside"),
    ],
)
def test_places_of_numbers_and_text_agree(case, address, place):
    at = ipaddress.ip_address(address)
    blob = at.packed if at.version == 6 else bytes(10) + b"\xff\xff" + at.packed
    halves = [int.from_bytes(blob[n : n + 8], signed=True) for n in (0, 8)]
    row = case("churn").query(
        f"SELECT {place_sql('a', 'b')} AS place, {inside_sql('a', 'b')} AS inside, {host_sql('a', 'b')} AS host,"
        f" {inside_text_sql('t')} AS inside_text, {host_text_sql('t')} AS host_text"
        " FROM (SELECT ?::BIGINT AS a, ?::BIGINT AS b, ? AS t)",
        [*halves, address],
    )
    inside, host = place == "inside", place != "group"
    assert row.to_pylist() == [{"place": place, "inside": inside, "host": host, "inside_text": inside, "host_text": host}]


def test_leads_of_the_samples(case):
    def of(name):
        reader = case(name)
        start, end = extent(reader)
        return leads(reader, late=arrivals(reader, start, end + 1).new.to_pylist())

    scan = of("scans")[0]
    assert (scan.sign, scan.who) == ("scan", "10.40.6.66")
    rows = [r for r in rows_of(case("scans"), TCP) if r["src_ip"] == scan.who]
    failed = [r for r in rows if r["conn_state"] in ("S0", "REJ", "SH", "RSTOS0", "RSTRH")]
    assert scan.numbers["failed"] == len(failed)
    assert scan.numbers["ports"] == len({r["dst_port"] for r in failed})
    upload = of("exfil")[0]
    assert (upload.sign, upload.who, upload.whom) == ("upload", "10.40.8.77", "198.51.100.99")
    assert [(g.who, g.numbers["port"]) for g in of("guessing") if g.sign == "guessing"] == [("10.40.5.77", 22)]
    assert ("management", "10.20.1.77") in {(lead.sign, lead.who) for lead in of("esxi-lateral")}
    assert of("rocev2") == []  # one-way storage traffic is no scan and no upload to be told of
    assert leads(case("scans"), Where("false")) == []


def test_paths_by_prefix(case):
    reader = case("esxi-lateral")
    flows, quiet = Counter(), defaultdict(int)

    def network(text):
        address = ipaddress.ip_address(text)
        return ipaddress.ip_network(f"{text}/{24 if address.version == 4 else 64}", strict=False)

    for row in rows_of(reader, EVERYTHING):
        port = row["dst_port"] if row["proto"] in (6, 17) and not row["service"] else None
        key = (
            str(network(row["src_ip"])),
            str(network(row["dst_ip"])),
            row["service"] or row["proto_name"],
            port,
            row["proto"] if row["service"] else None,
        )
        flows[key] += 1
        failed = row["proto"] == 6 and row["conn_state"] in ("S0", "REJ", "SH", "RSTOS0", "RSTRH")
        quiet[key] += row["dst_pkts"] == 0 or failed
    got = paths(reader).to_pylist()
    seen = {}
    for row in got:
        ends = (str(Prefix.of_key(row[f"{side}_key"], 24, 64)) for side in ("src", "dst"))
        label = row["label"].split("/")[0]
        seen[(*ends, label, row["port"], row["proto"] if row["service"] else None)] = row
    assert {key: row["flows"] for key, row in seen.items()} == dict(flows)
    assert all(row["unanswered"] == pytest.approx(quiet[key] / flows[key]) for key, row in seen.items())
    order = [row["inside"] for row in got]
    assert order == sorted(order, reverse=True)
    assert order[0]


def test_no_verdicts_and_no_findings_in_a_capture(case):
    assert verdicts(case("scans")).num_rows == 0
    assert found(case("scans")).rows == ()
    assert found(case("scans"), TCP, (0, 1)).counts == ()
