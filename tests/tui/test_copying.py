"""What is copied names exactly these flows, and does nothing where it is pasted."""

from __future__ import annotations

import csv
import io
import stat
import subprocess
from pathlib import Path

import duckdb
import pytest

from tests import needs
from tests.tui.synthetic import flow, keeps, table
from workbench.errors import WorkbenchError
from workbench.store.reader import CaseReader
from workbench.tui.copying import as_csv, as_filter, as_sql, as_text, flow_forms
from workbench.tui.looks import flow_looks
from workbench.tui.screens.copy_menu import write_new
from workbench.tui.tshark_filter import tshark_filter

SAMPLES = Path(__file__).parents[2] / "sample_captures"
LOOKS = flow_looks(dates=True)
HOSTILE = "\x1b]52;c;ZWNobyBoaQ==\x07\u202e\r\nrm -rf /"


def test_text_is_what_the_table_shows_and_holds_no_control_character():
    text = as_text([flow(1, service=HOSTILE)], LOOKS)
    assert "␛]52;c;" in text
    assert "<U+202E>" in text
    assert all(char.isprintable() for char in text)
    lines = as_text([flow(n, service=HOSTILE) for n in range(3)], LOOKS).split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("start")
    assert all(char.isprintable() for line in lines for char in line)


@pytest.mark.parametrize("wire", ["=1+1", "+1", "-1", "@sum(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", '"=1', "a,b\n=1"])
def test_no_cell_is_a_formula(wire):
    (names, row) = csv.reader(io.StringIO(as_csv([flow(1, service=wire)], LOOKS), newline=""))
    cell = dict(zip(names, row, strict=True))["service"]
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell.isprintable()
    assert cell.startswith("'") == wire.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_csv_has_exact_values():
    rows = [flow(1), flow(2, src_port=None)]
    read = list(csv.DictReader(io.StringIO(as_csv(rows, LOOKS), newline="")))
    assert [int(one["src_bytes"]) for one in read] == [row["src_bytes"] for row in rows]
    assert read[0]["ts"] == rows[0]["ts"].isoformat(timespec="microseconds") + "Z"
    assert [one["src_port"] for one in read] == [str(rows[0]["src_port"]), ""]
    assert list(read[0]) == [look.name for look in LOOKS]


@pytest.mark.parametrize("chosen", [(4,), (1, 2, 9)])
def test_sql_and_filter_name_exactly_these_flows(chosen):
    rows = [flow(n) for n in range(20)]
    ids = [rows[n]["flow_id"] for n in chosen]
    with duckdb.connect() as con:
        con.register("flows", table(rows))
        assert [row[0] for row in con.execute(as_sql(ids)).fetchall()] == ids
    assert [row["flow_id"] for row in keeps(as_filter(ids), rows)] == ids


def test_a_strangers_row_puts_nothing_of_its_own_into_a_filter():
    zone = {"dst_ip": "fe80::1%0 || frame"}
    for odd in ({"src_ip": "1.1.1.1 || frame"}, zone, {"src_ip": None}, {"proto": "6 || ip"}, {"src_port": "1)"}, {"ts": None}):
        assert tshark_filter([flow(1, **odd)]) == ""
    assert tshark_filter([flow(1, tunnel="vxlan || ip", vni=7)]).endswith("!icmp && !icmpv6")


def test_the_forms_of_a_choice():
    rows = [flow(1), flow(2)]
    assert [form.name for form in flow_forms(rows, LOOKS, "x")] == ["value", "text", "CSV", "SQL", "filter", "tshark"]
    assert next(form.name for form in flow_forms(rows, LOOKS, "")) == "text"
    assert all(form.make() for form in flow_forms(rows, LOOKS, "x"))


def test_a_file_is_new_and_its_owners(tmp_path):
    out = tmp_path / "flows.csv"
    write_new(out, "a,b\r\n")
    assert out.read_bytes() == b"a,b\r\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with pytest.raises(WorkbenchError, match="cannot be written"):
        write_new(out, "other")
    assert out.read_bytes() == b"a,b\r\n"


def numbers(capture: Path, display_filter: str) -> set[int]:
    words = ["tshark", "-n", "-r", str(capture), "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    done = subprocess.run(
        [*words, "-Y", display_filter, "-T", "fields", "-e", "frame.number"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return {int(line) for line in done.stdout.split()}


@needs.program("tshark")
@pytest.mark.parametrize("sample", ["overlays", "web"])
def test_tshark_finds_the_packets_of_these_flows_and_no_others(sample, indexed):
    with CaseReader(indexed(sample)) as reader:
        rows = reader.query("SELECT * FROM flows WHERE src_ip IS NOT NULL ORDER BY hash(flow_id) LIMIT 6").to_pylist()
        capture = SAMPLES / f"{sample}.pcapng"
        for some in (rows[:1], rows):
            mine = numbers(capture, tshark_filter(some))
            assert len(mine) == sum(row["src_pkts"] + row["dst_pkts"] for row in some)
