"""What was said in a flow, in its details; and flows whose protocol contradicts their port."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.detections.shipped import ends
from tests.store.rows import batch, source
from tests.store.rows import flow as stored_flow
from tests.tui.driving import flows_view, press, screen_text, settle
from tests.tui.synthetic import RowCase, flow
from workbench.analysis.metadata import said_in, tables_of_service
from workbench.cli.app import run
from workbench.records.arrow import arrow_schema
from workbench.records.columns import BY_NAME
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter
from workbench.tui import words
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.figures import NOTHING
from workbench.tui.said import contradiction, marked_service
from workbench.tui.widgets.detail import FlowDetail

BEGAN = dt.datetime(2026, 3, 14, 9, 26, 53)


def rows_of(table: str, *rows: dict[str, Any]) -> pa.Table:
    schema = arrow_schema(table)
    made = [{"ts": BEGAN + dt.timedelta(seconds=n)} | row for n, row in enumerate(rows)]
    columns = [pa.array([row.get(field.name) for row in made], field.type) for field in schema if field.name != "flow_id"]
    return pa.table(columns, names=[field.name for field in schema if field.name != "flow_id"])


def talking() -> RowCase:
    """Flows, the first with TLS, the second with many names, the third with nothing that was said."""
    tls = {"service": "tls", "dst_port": 443, "proto": 6, "proto_name": "tcp"}
    dns = {"service": "dns", "dst_port": 53, "proto": 17, "proto_name": "udp"}
    case = RowCase([flow(0, **tls), flow(1, **dns), flow(2, service=None), flow(3, service="ssh", dst_port=8443, proto=6)])
    hello = {"version": "TLSv1.3", "sni": "web\x1b[31m.corp[/foo]", "alpn": "h2", "resumed": False}
    case.said["tls", (1 << 40)] = rows_of("tls", hello)
    names = [{"query": f"host{n}.corp", "rcode": "NXDOMAIN", "kind": "dns", "rtt_us": 1500} for n in range(41)]
    case.said["dns", (1 << 40) | 1] = rows_of("dns", *names)
    return case


def shown(pilot: Any) -> str:
    return "\n".join(screen_text(pilot))


@pytest.mark.parametrize("size", [(160, 50), (80, 24)])
async def test_details_say_what_was_said_in_the_flow_under_the_cursor(size: tuple[int, int]) -> None:
    async with WorkbenchApp(talking()).run_test(size=size) as pilot:
        await settle(pilot)
        assert "corp[/foo]" in shown(pilot)
        assert "\x1b[31m" not in shown(pilot)
        await press(pilot, "j")
        assert "corp[/foo]" not in shown(pilot)
        assert "query host0.corp" in shown(pilot)
        assert ("dns: 3 of 41, M shows all" if size[0] == 160 else "dns 41: query host0.corp") in shown(pilot)
        assert "host3.corp" not in shown(pilot)
        await press(pilot, "j")
        assert "query host" not in shown(pilot)
        await press(pilot, "k", "enter")
        seen = shown(pilot)
        for _ in range(4):
            await press(pilot, "pagedown")
            seen += shown(pilot)
        assert "query host8.corp" in seen  # large, there is room for more


async def test_scrolling_asks_nothing_and_an_answer_for_another_flow_is_not_shown() -> None:
    case = talking()
    async with WorkbenchApp(case).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        detail = flows_view(pilot).query_one("#detail", FlowDetail)
        case.asked.clear()
        case.hearing.clear()
        await pilot.press("j", "k", "j", "k", "j")  # faster than the pause
        assert len(case.asked) <= 1
        while not case.asked:
            await pilot.pause(0.01)
        await pilot.press("j")  # while it is being looked up
        await pilot.pause()
        assert case.asked[0].stopped
        case.hearing.set()
        await settle(pilot)
        assert detail.resting
        assert "query host" not in shown(pilot)


async def test_a_failure_is_said_and_the_rest_stands() -> None:
    case = talking()

    def broken() -> Any:
        raise RuntimeError("no [such] table")

    async with WorkbenchApp(case).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        question = type("Broken", (), {"query": lambda *_: broken(), "stop": lambda *_: None})
        case.question = question  # type: ignore[method-assign, assignment]
        await press(pilot, "j")
        assert "cannot be read: no [such] table" in shown(pilot)
        assert "Where its packets are" in shown(pilot)


async def test_a_protocol_away_from_home_is_marked_and_said() -> None:
    async with WorkbenchApp(talking()).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "G")
        (row,) = [line for line in screen_text(pilot) if "▶" in line and ":" in line]
        assert "8443" in row
        assert row.startswith("▶!")
        assert [line[1] for line in screen_text(pilot) if ":" in line and line[:1] == " " and "443" in line].count("!") == 0
        text = " ".join(shown(pilot).replace("│", " ").split())
        assert "contradicts its port: 8443 is" in text
        await press(pilot, *["l"] * 12)
        assert "ssh !8443" in shown(pilot)


def test_the_words_of_a_contradiction() -> None:
    base = {"proto": 6, "src_port": 50000}
    assert contradiction(base | {"service": "tls", "dst_port": 22}) == "contradicts its port: 22 is the home of ssh"
    assert contradiction(base | {"service": "ssh", "dst_port": 2222}) == "contradicts its port: ssh is at home on 22"
    assert contradiction(base | {"service": "ssh", "dst_port": 22}) == ""
    assert marked_service(base | {"service": "smb,dcerpc", "dst_port": 8445}) == "smb,dcerpc !8445"
    assert marked_service({"service": None}) == NOTHING
    narrow = words.brief(flow(4, service="ssh", dst_port=443, proto=6), "p")
    assert narrow[2] == "contradicts its port: 443 is the home of tls"


def test_tables_are_those_that_the_service_names() -> None:
    assert [table.name for table in tables_of_service("smb,dcerpc")] == ["smb", "dcerpc", "ntlm", "kerberos"]
    assert [table.name for table in tables_of_service("mdns")] == ["dns"]
    assert tables_of_service("") == tables_of_service("something") == []


def test_what_a_sample_says(indexed: Any) -> None:
    case: Path = indexed("windows")
    with CaseReader(case) as reader:
        (found,) = reader.query("SELECT flow_id FROM flows WHERE service = 'smb,dcerpc' ORDER BY ts LIMIT 1").to_pylist()
        said = said_in(reader, found["flow_id"], "smb,dcerpc", 2)
        counted = {
            one.table.name: reader.query(f"SELECT count(*) AS n FROM {one.table.name} WHERE flow_id = ?", (found["flow_id"],))
            for one in said
        }
    assert {"smb", "dcerpc"} <= counted.keys()
    assert all(one.total == counted[one.table.name]["n"][0].as_py() for one in said)
    assert all(one.rows.num_rows == min(2, one.total) for one in said)
    stored = StoredCase.open(case)
    try:
        assert said_in(stored.question(), found["flow_id"], "dcerpc", 1)[0].table.name == "dcerpc"
    finally:
        stored.close()


#: What a hunter types, and the responder of the flows it keeps.
TYPED = {
    'tls.sni contains ".corp" && tls.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"': ["10.1.2.1"],
    "dns.rcode == NXDOMAIN": ["10.1.2.3"],
    "dcerpc.interface == svcctl": ["10.1.2.4"],
    "service == ssh && tcp.dstport != 22": ["10.1.2.2"],
    "service.unexpected": ["10.1.2.2"],
}


@pytest.fixture
def hunted(tmp_path: Path) -> Path:
    """A case with one flow for each of them, and one for none."""
    tcp = {"proto": 6, "proto_name": "tcp", "src_port": 50000}
    udp = {"proto": 17, "proto_name": "udp", "src_port": 50000}
    flows = [
        tcp | {"service": "tls", "dst_port": 443},
        tcp | {"service": "ssh", "dst_port": 443},
        udp | {"service": "dns", "dst_port": 53},
        tcp | {"service": "smb,dcerpc", "dst_port": 445},
        tcp | {"service": "ssh", "dst_port": 22},
    ]
    said = {
        "tls": {"flow_id": 0, "sni": "web.corp", "ja4": "t13d1516h2_8daaf6152771_e5627efa2ab1"},
        "dns": {"flow_id": 2, "query": "a.corp", "rcode": "NXDOMAIN", "kind": "dns"},
        "dcerpc": {"flow_id": 3, "interface": "svcctl", "operation": "CreateServiceW"},
    }
    rows = [stored_flow(n, **ends("10.1.1.1", f"10.1.2.{n + 1}"), **row) for n, row in enumerate(flows)]
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", rows))
        for table, row in said.items():
            whole = dict.fromkeys(BY_NAME[table].names) | {"ts": BEGAN} | row
            writer.append(table, batch(table, [whole | {"flow_id": (1 << 40) | int(row["flow_id"])}]))
        writer.update_source(1, state="ok", packets=9 * len(rows), flows=len(rows))
    return tmp_path / "case"


def test_filters_over_what_was_said_in_the_command_line(hunted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, wanted in TYPED.items():
        assert run(["flows", "--case", str(hunted), "--filter", text, "--columns", "dst_ip", "--format", "csv"]) == 0
        assert capsys.readouterr().out.split() == ["dst_ip", *wanted]


async def test_filters_over_what_was_said_in_the_filter_bar(hunted: Path) -> None:
    async with WorkbenchApp(StoredCase.open(hunted)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "2")
        for text, wanted in TYPED.items():
            await press(pilot, "slash")
            pilot.app.screen.query_one("FilterInput").value = text  # type: ignore[attr-defined]
            await settle(pilot)
            await press(pilot, "enter")
            table = flows_view(pilot).table
            assert table.record is not None
            assert [table.total, table.record["dst_ip"]] == [len(wanted), *wanted], text
