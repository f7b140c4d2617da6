import random
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.rows import T0, address, batch, flow, source
from workbench.errors import CancelledError
from workbench.records.columns import FLOWS
from workbench.store import pages
from workbench.store.pages import Order, Where, extent, timeline, top
from workbench.store.reader import CaseReader
from workbench.store.segments import SegmentFiles
from workbench.store.writer import CaseWriter

COUNT = 3000


def made(chance: random.Random) -> list[dict[str, Any]]:
    rows = []
    for n in range(COUNT):
        last = chance.randrange(1, 300)
        ts = T0 + chance.randrange(10**9)
        d = chance.choice([0, 5_000, 10_000_000])
        rows.append(
            flow(
                n,
                ts=ts,
                ts_end=ts + d,
                duration=d / 1e6,
                src_ip=f"10.0.{last >> 8}.{last & 255}",
                src_addr=address(last),
                src_bytes=chance.choice([40, 60, 1500]),
                service=chance.choice([None, "dns", "tls"]),
                rtt_us=chance.choice([None, 1, 2, 3]),
            )
        )
    return rows


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return made(random.Random(3))


@pytest.fixture(scope="module", params=["native", "segments"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> CaseReader:
    case = tmp_path_factory.mktemp("pages") / "case"
    cut = COUNT if request.param == "native" else COUNT // 2
    with CaseWriter(case) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", rows[:cut]))
        writer.update_source(1, state="ok")
    reader = CaseReader(case)
    if request.param == "segments":
        SegmentFiles(reader.case, {1: "s1"}).write("flows", [batch("flows", rows[cut:])])
        reader.refresh()
    assert reader.native == (request.param == "native")
    return reader


def expected(rows: list[dict[str, Any]], column: str, descending: bool) -> list[int]:
    key = {"src_ip": "src_addr"}.get(column, column)
    have = sorted((r for r in rows if r[key] is not None), key=lambda r: (r[key], r["flow_id"]), reverse=descending)
    return [r["flow_id"] for r in have] + sorted((r["flow_id"] for r in rows if r[key] is None), reverse=descending)


@pytest.mark.parametrize("column", ["ts", "src_bytes", "src_ip", "service", "rtt_us", "flow_id"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("large", [False, True])
def test_every_page_of_every_order_is_right(
    reader: CaseReader, rows: list[dict[str, Any]], column: str, descending: bool, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:  # make the order as 20 million rows would: ends first, the rest in the background
        monkeypatch.setattr(pages, "_AT_ONCE", 10)
        monkeypatch.setattr(pages, "EDGE", 100)
    want = expected(rows, column, descending)
    order = Order(reader, column, descending=descending)
    assert order.total == COUNT
    for start, count in ((0, 50), (COUNT - 50, 50), (COUNT - 10, 50), (1234, 100), (0, 0), (COUNT, 5), (90, 20), (0, COUNT)):
        page = order.page(start, count)
        assert page.column_names == list(FLOWS.names)
        assert page["flow_id"].to_pylist() == want[start : start + count], (start, count)
    assert order.position(want[777]) == 777
    assert order.position(5) is None
    order.close()


def test_the_ends_of_a_large_order_are_there_before_the_rest(reader: CaseReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_AT_ONCE", 10)
    monkeypatch.setattr(pages, "EDGE", 100)
    monkeypatch.setattr(pages, "_BREATH", 60.0)
    order = Order(reader, "src_bytes", descending=True)
    assert not order.complete
    assert order.page(0, 100, ["src_bytes"])["src_bytes"].to_pylist() == [1500] * 100
    assert order.page(COUNT - 100, 100, ["src_bytes"])["src_bytes"].to_pylist() == [40] * 100
    order.close()
    with pytest.raises(CancelledError):
        order.page(1000, 10)


def test_an_order_takes_a_condition_and_a_page_takes_columns(reader: CaseReader, rows: list[dict[str, Any]]) -> None:
    where = Where("service = ?", ("dns",)).and_(Where("src_bytes > ?", (50,)))
    want = [r for r in rows if r["service"] == "dns" and r["src_bytes"] > 50]
    order = Order(reader, where=where)
    assert order.total == len(want)
    page = order.page(0, 10, ["service", "flow_id"])
    assert page.column_names == ["service", "flow_id"]
    assert page["flow_id"].to_pylist() == [r["flow_id"] for r in sorted(want, key=lambda r: (r["ts"], r["flow_id"]))][:10]


def test_unknown_columns_are_refused(reader: CaseReader) -> None:
    with pytest.raises(KeyError):
        Order(reader, 'ts"; DROP TABLE flows; --')
    with pytest.raises(KeyError):
        Order(reader).page(0, 1, ["nothing"])
    with pytest.raises(KeyError):
        top(reader, "1; SELECT 2")


def test_flows_touching_a_span(reader: CaseReader, rows: list[dict[str, Any]]) -> None:
    start, end = T0 + 10**8, T0 + 2 * 10**8
    want = {r["flow_id"] for r in rows if r["ts"] < end and r["ts_end"] >= start}
    assert set(Order(reader, where=Where.touching(start, end)).page(0, COUNT)["flow_id"].to_pylist()) == want


def test_extent_top_and_timeline(reader: CaseReader, rows: list[dict[str, Any]]) -> None:
    start, end = min(r["ts"] for r in rows), max(r["ts_end"] for r in rows)
    assert extent(reader) == (start, end)
    line = timeline(reader, start, end + 1, 7)
    assert line.flows.sum() == COUNT
    assert line.bytes.sum() == sum(r["src_bytes"] + r["dst_bytes"] for r in rows)
    at = np.array([(r["ts"] - start) // line.width for r in rows])
    assert line.flows.tolist() == np.bincount(at, minlength=7).tolist()
    by_ip: dict[str, int] = {}
    for r in rows:
        by_ip[r["src_ip"]] = by_ip.get(r["src_ip"], 0) + r["src_bytes"] + r["dst_bytes"]
    want = sorted(by_ip.items(), key=lambda item: (-item[1], item[0]))[:5]
    assert [(r["value"], r["amount"]) for r in top(reader, "src_ip", "bytes", 5).to_pylist()] == want
    with pytest.raises(ValueError):
        timeline(reader, 5, 5, 10)


@pytest.mark.parametrize("where", [Where(), Where("proto = ?", (6,))])
@pytest.mark.parametrize("settled", [True, False])
def test_long_flows_count_where_their_packets_were(tmp_path: Path, where: Where, settled: bool) -> None:
    minute = 60_000_000
    long = flow(0, ts=T0, ts_end=T0 + 3 * minute, duration=180.0, src_pkts=10, dst_pkts=0, src_bytes=1000, dst_bytes=0)
    short = flow(1, ts=T0 + 2 * minute, ts_end=T0 + 2 * minute, duration=0.0, src_pkts=1, dst_pkts=0, src_bytes=7, dst_bytes=0)
    bare = flow(2, ts=T0, ts_end=T0 + 3 * minute, duration=180.0, src_pkts=2, dst_pkts=0, src_bytes=20, dst_bytes=0)
    parts = [(0, 1, 100), (1, 2, 300), (3, 7, 600)]
    slices = [
        {"flow_id": 1 << 40, "ts": T0 + m * minute, "src_pkts": p, "dst_pkts": 0, "src_bytes": b, "dst_bytes": 0}
        for m, p, b in parts
    ]
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [long, short, bare]))
        writer.append("flow_slices", batch("flow_slices", slices))
        writer.update_source(1, state="ok")
    with CaseReader(tmp_path / "case") as reader:
        if not settled:
            SegmentFiles(reader.case, {2: "s2"}).write("flows", [batch("flows", [flow(0, 2, ts=T0 - 1, ts_end=T0 - 1)])])
            reader.refresh()
        assert reader.settled == settled
        line = timeline(reader, T0, T0 + 4 * minute, 4, where)
        assert line.flows.tolist() == [2, 0, 1, 0]
        assert line.bytes.tolist() == [120, 300, 7, 600]
        assert line.packets.tolist() == [3, 2, 1, 7]
        later = timeline(reader, T0 + minute, T0 + 4 * minute, 3, where)
        assert later.bytes.tolist() == [300, 7, 600]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=30))
def test_values_go_through_unharmed(reader: CaseReader, value: str) -> None:
    found = reader.query("SELECT ? AS v, count(*) AS n FROM flows WHERE service = ?", (value, value)).to_pylist()
    assert found == [{"v": value, "n": sum(1 for _ in range(0))}] or value in ("dns", "tls")


def test_an_interrupt_ends_what_is_asked_and_the_next_question_is_answered(reader: CaseReader) -> None:
    errors = []

    def ask() -> None:
        try:
            reader.query("SELECT count(*) FROM range(100000000) a, range(1000) b WHERE (a.range * b.range) % 7 = 3")
        except CancelledError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while thread.is_alive():
        reader.interrupt()
        thread.join(0.05)
    assert len(errors) == 1
    assert reader.query("SELECT 1 AS a").to_pylist() == [{"a": 1}]


def test_an_order_goes_on_while_the_case_is_compacted_under_it(tmp_path: Path) -> None:
    case = tmp_path / "case"
    with CaseWriter(case) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n) for n in range(500)]))
        writer.update_source(1, state="ok")
    with CaseReader(case) as reader:
        order = Order(reader, "ts", descending=True)
        with CaseWriter(case) as writer:
            writer.add_source(source(2))
            writer.append("flows", batch("flows", [flow(n, 2) for n in range(300)]))
            writer.update_source(2, state="ok")
            writer.commit(now=True)
            reader.refresh()
            assert order.page(0, 3)["flow_id"].to_pylist() == [(1 << 40) + n for n in (499, 498, 497)]
            live = order.again()
            assert live.total == 800
            want = live.page(0, 800)["flow_id"].to_pylist()
        reader.refresh()
        assert order.page(0, 3)["flow_id"].to_pylist() == [(1 << 40) + n for n in (499, 498, 497)]
        assert live.page(0, 800)["flow_id"].to_pylist() == want
        assert order.again().total == 800


@pytest.mark.parametrize("small", [True, False])
def test_a_wrong_guess_of_how_many_a_filter_keeps_changes_nothing(
    reader: CaseReader, rows: list[dict[str, Any]], small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_AT_ONCE", 10)
    monkeypatch.setattr(pages, "EDGE", 100)
    monkeypatch.setattr(Order, "_seems_small", lambda self: small)
    order = Order(reader, "src_ip", where=Where("src_bytes = ?", (60,)))
    wanted = expected([row for row in rows if row["src_bytes"] == 60], "src_ip", False)
    assert order.total == len(wanted)
    assert order.complete or not small
    assert order.wait(60)
    assert [i for at in (0, 500) for i in order.page(at, 500, ["flow_id"])["flow_id"].to_pylist()] == wanted[:1000]
    order.close()


MIXED = ["::", "::1", "10.0.0.5", "9.255.0.1", "255.255.255.255", "::1:0:0:0", "7fff::", "8000::", "fd00::2", "ff02::1"]
ENDS = [*MIXED, "fe80::8000:0:0:1", "fe80::1", "fe80::7fff:ffff:ffff:ffff", "2001:db8::1", "2001:db8::8000:0:0:0", None]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("texts", [ENDS, MIXED[:5], ["fe80::1", "fe80::8000:0:0:1", "fe80::2"], ["fd00::3", "fd00::2", None]])
def test_addresses_are_in_the_order_of_their_numbers(tmp_path: Path, texts: list[str | None], descending: bool) -> None:
    """Whether all share their upper half or not, and whichever sign its numbers have."""
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n, src_ip=text) for n, text in enumerate(texts * 2)]))
        writer.update_source(1, state="ok")

    def number(text: str) -> int:
        at = ip_address(text)
        return int(at) + (0xFFFF << 32 if at.version == 4 else 0)

    there = sorted((number(text), n, text) for n, text in enumerate(texts * 2) if text is not None)
    with CaseReader(tmp_path / "case") as reader:
        found = Order(reader, "src_ip", descending=descending).page(0, 100, ["src_ip", "flow_id"]).to_pylist()
    have = [(row["src_ip"], row["flow_id"] - (1 << 40)) for row in found]
    assert have[: len(there)] == [(text, n) for _, n, text in (reversed(there) if descending else there)]
    assert all(text is None for text, _ in have[len(there) :])
