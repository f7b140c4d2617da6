"""Logs of Zeek into a case: rows, derived columns, and what is wrong with a line told with its number."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from workbench.store.reader import CaseReader
from workbench.workflows.import_logs import import_logs
from workbench.workflows.requests import IndexRequest, IndexResult

_FIELDS = [
    *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration"),
    *("orig_bytes", "resp_bytes", "conn_state"),
]
_HEAD = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\t"
    + "\t".join(_FIELDS)
    + "\n"
)
_ROW = ("1700000000.123456", "Ca", "192.0.2.1", "50000", "2001:DB8::1", "443", "tcp", "ssl", "1.5", "10", "20", "SF")


def _conn(*rows: tuple[str, ...]) -> str:
    return _HEAD + "".join("\t".join(row) + "\n" for row in rows)


def _with(**changes: str) -> tuple[str, ...]:
    names = [name.replace(".", "_") for name in _FIELDS]
    return tuple(changes.get(name, value) for name, value in zip(names, _ROW, strict=True))


def _import(folder: Path, *paths: Path, form: str = "zeek") -> IndexResult:
    return import_logs(IndexRequest(tuple(map(str, paths)), folder / "case", form=form))


def _rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    with CaseReader(folder / "case") as reader:
        return reader.query(sql).to_pylist()


def _ledger(result: IndexResult) -> dict[str, tuple[int, str | None]]:
    return {line["reason"]: (line["count"], line["first_frames"]) for line in result.ledger}


def test_a_line_becomes_a_flow_with_every_derived_column(tmp_path: Path) -> None:
    log = tmp_path / "conn.log"
    log.write_text(_conn(_ROW))
    result = _import(tmp_path, log)
    assert result.sources[0]["state"] == "ok"
    assert result.sources[0]["kind"] == "zeek"
    flow = _rows(tmp_path, "SELECT * FROM flows")[0]
    assert flow["src_ip"] == "192.0.2.1"
    assert flow["dst_ip"] == "2001:db8::1"
    assert flow["dst_addr"].hex() == "20010db8000000000000000000000001"
    assert (flow["src_hi"], flow["src_lo"]) == (0, 0xFFFF_C000_0201)
    assert (flow["proto"], flow["proto_name"], flow["service"], flow["network"]) == (6, "tcp", "tls", "")
    assert (flow["src_payload"], flow["dst_payload"], flow["end_reason"], flow["conn_state"]) == (10, 20, 3, "SF")
    assert flow["ts"].isoformat() == "2023-11-14T22:13:20.123456"
    assert (flow["ts_end"] - flow["ts"]).total_seconds() == flow["duration"] == 1.5
    assert flow["community_id"].startswith("1:")
    assert flow["flow_id"] == 1 << 40


def test_a_bad_line_is_told_with_its_number_and_costs_no_other(tmp_path: Path) -> None:
    log = tmp_path / "conn.log"
    rows = [
        _with(uid="C1"),
        ("1700000000.5", "C2", "cut"),
        _with(uid="C3", id_orig_h="not an address"),
        _with(uid="C4", ts="0.000000"),
        _with(uid="C5", orig_bytes="many", id_orig_p="99999999999"),
        _with(uid="C1"),
        _with(uid="C1", duration="2.5"),
        _with(uid="C6", proto="\x1b[31m"),
    ]
    log.write_bytes(_conn(*rows).encode() + b"\n" + b"\xff\xfe" * 700_000 + b"\n" + "\t".join(_with(uid="C7")).encode())
    result = _import(tmp_path, log)
    assert result.sources[0]["state"] == "partial"
    told = _ledger(result)
    assert told["bad_line"] == (2, "8,16")
    assert told["not_a_flow"] == (3, "9,10,14")
    assert told["duplicate_line"] == (2, "12,13")
    assert told["values_unread"] == (2, "11")
    flows = _rows(tmp_path, "SELECT src_port, src_payload FROM flows ORDER BY flow_id")
    assert flows == [
        {"src_port": 50000, "src_payload": 10},
        {"src_port": None, "src_payload": None},
        {"src_port": 50000, "src_payload": 10},
    ]


def test_json_and_compressed_logs_are_the_same_flows(tmp_path: Path) -> None:
    row = dict(zip(_FIELDS, _ROW, strict=True)) | {"ts": 1700000000.123456, "id.orig_p": 50000}
    log = tmp_path / "conn.json.gz"
    spread = json.dumps(row | {"uid": "Cb"}, indent=2)
    log.write_bytes(
        gzip.compress((json.dumps(row) + "\n" + spread + '\n{"ts": 17000\n' + json.dumps(row | {"uid": "Cc"})).encode())
    )
    result = _import(tmp_path, log)
    assert _ledger(result)["bad_line"][0] == 1
    flows = _rows(tmp_path, "SELECT ts, dst_ip, src_port, service FROM flows")
    assert len(flows) == 3
    assert {(f["ts"].microsecond, f["dst_ip"], f["src_port"], f["service"]) for f in flows} == {
        (123456, "2001:db8::1", 50000, "tls")
    }


def test_what_the_case_has_is_not_imported_again(tmp_path: Path) -> None:
    log, copy = tmp_path / "conn.log", tmp_path / "copy_of_conn.log"
    log.write_text(_conn(_ROW))
    _import(tmp_path, log)
    copy.write_text(log.read_text())
    result = _import(tmp_path, log, copy)
    assert result.skipped == [str(copy), str(log)] or result.skipped == [str(log), str(copy)]
    assert len(_rows(tmp_path, "SELECT 1 FROM flows")) == 1


@pytest.mark.parametrize("text", ["", "Lorem ipsum\n", _HEAD, _conn(("1", "2"))])
def test_a_file_that_yields_nothing_is_refused(tmp_path: Path, text: str) -> None:
    log = tmp_path / "conn.log"
    log.write_text(text)
    result = _import(tmp_path, log)
    assert result.sources[0]["state"] == "refused"
    assert str(log) in result.refused[0].message


def test_index_knows_logs_among_captures_by_their_content(tmp_path: Path) -> None:
    from workbench.workflows.ingest import index_sources
    from workbench.workflows.open_case import plan_open

    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "anything.txt").write_text(_conn(_ROW))
    (tmp_path / "logs" / "eve.json").write_text('{"event_type":"flow","timestamp":"2023-01-01T00:00:00+0100"}\n')
    (tmp_path / "logs" / "notes.txt").write_text("nothing of the kind\n")
    result = index_sources(IndexRequest((str(tmp_path / "logs"),), tmp_path / "case"))
    assert {(Path(row["path"]).name, row["kind"], row["state"]) for row in result.sources} == {
        ("anything.txt", "zeek", "ok"),
        ("eve.json", "eve", "refused"),
    }
    assert len(_rows(tmp_path, "SELECT 1 FROM flows")) == 1
    again = plan_open((str(tmp_path / "logs" / "anything.txt"),), tmp_path / "case")
    assert again.index is None


def test_what_is_said_finds_its_flow_and_makes_one_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "conn.log").write_text(_conn(_ROW))
    said = {"ts": 1700000000.2, "id.orig_h": "192.0.2.1", "id.orig_p": 50000, "id.resp_h": "192.0.2.9", "id.resp_p": 53}
    dns = {
        **said,
        "proto": "udp",
        "query": "A.Example",
        "qtype_name": "A",
        "rtt": 0.01,
        "answers": ["192.0.2.7", "b"],
        "RD": True,
    }
    lines = [json.dumps({**dns, "uid": uid}) for uid in ("Ca", "Cx", "Cx")]
    (tmp_path / "dns.log").write_text("\n".join([*lines, json.dumps({"ts": 1, "uid": "Cn", "query": "x", "qtype": 1})]))
    krb = {**said, "uid": "Ca", "request_type": "AS", "client": "User/REALM", "success": True}
    (tmp_path / "kerberos.log").write_text(json.dumps(krb))
    (tmp_path / "weird.log").write_text(json.dumps({"ts": 1.0, "uid": "Ca", "name": "odd"}))
    logs = [tmp_path / name for name in ("dns.log", "conn.log", "kerberos.log", "weird.log")]
    result = _import(tmp_path, *logs)
    told = {(line["source_id"], line["reason"]): line["count"] for line in result.ledger}
    by_name = {Path(row["path"]).name: row for row in result.sources}
    dns_id = by_name["dns.log"]["source_id"]
    assert told[dns_id, "flows_implied"] == 1
    assert told[dns_id, "duplicate_line"] == 1
    assert told[dns_id, "not_a_flow"] == 1
    assert told[by_name["weird.log"]["source_id"], "lines_unused"] == 1
    assert by_name["weird.log"]["state"] == "refused"
    assert not result.refused, "a log that has no table is no bad input beside others"
    rows = _rows(
        tmp_path,
        "SELECT query, answers, d.rtt_us, flags, service, src_pkts, dst_ip FROM dns d JOIN flows USING (flow_id) ORDER BY 5 DESC",
    )
    assert [(r["service"], r["dst_ip"]) for r in rows] == [("tls", "2001:db8::1"), ("dns", "192.0.2.9")]
    assert rows[0] | {"service": "", "dst_ip": ""} == {
        "query": "a.example",
        "answers": "192.0.2.7,b",
        "rtt_us": 10_000,
        "flags": "rd",
        "service": "",
        "src_pkts": 0,
        "dst_ip": "",
    }
    kerberos = _rows(tmp_path, "SELECT realm, client_hash FROM kerberos")[0]
    assert kerberos["realm"] == "REALM"
    assert len(kerberos["client_hash"]) == 32
    assert "user" not in kerberos["client_hash"].lower()


def test_events_of_suricata_join_their_flow_in_any_order(tmp_path: Path) -> None:
    ends = {"src_ip": "192.0.2.1", "src_port": 50000, "dest_ip": "192.0.2.2", "dest_port": 443, "proto": "TCP", "flow_id": 77}
    flow = {
        "pkts_toserver": 3,
        "pkts_toclient": 2,
        "bytes_toserver": 300,
        "bytes_toclient": 200,
        "state": "closed",
        "reason": "timeout",
        "start": "2023-01-01T01:00:00.000001+0100",
        "end": "2023-01-01T00:00:02.000001Z",
    }
    half = {**ends, "flow_id": 78, "src_port": 50001}
    other = {**half, "src_ip": half["dest_ip"], "dest_ip": half["src_ip"], "src_port": 443, "dest_port": 50001}
    net = {"pkts": 5, "bytes": 50, "start": "2023-01-01T00:00:00Z", "end": "2023-01-01T00:00:01Z"}
    at = {"timestamp": "2023-01-01T00:00:01+0000"}
    events = [
        {**at, **ends, "event_type": "tls", "tls": {"sni": "a.example", "version": "TLS 1.3"}},
        {**at, **ends, "event_type": "flow", "flow": flow, "vlan": [100, 7], "tcp": {"tcp_flags_ts": "1b"}, "app_proto": "tls"},
        {**at, **half, "event_type": "netflow", "netflow": net},
        {**at, **other, "event_type": "netflow", "netflow": {**net, "pkts": 4}},
        {
            **at,
            **ends,
            "event_type": "alert",
            "alert": {"signature": "odd \x1b[31m", "severity": 1, "gid": 1, "signature_id": 2, "rev": 3},
        },
        {**at, "event_type": "stats", "stats": {}},
    ]
    log = tmp_path / "eve.json"
    log.write_text("\n".join(map(json.dumps, events)))
    result = _import(tmp_path, log, form="eve")
    assert _ledger(result)["lines_unused"][0] == 1
    flows = _rows(tmp_path, "SELECT * FROM flows ORDER BY src_port")
    assert [(f["src_pkts"], f["dst_pkts"], f["src_bytes"]) for f in flows] == [(3, 2, 300), (5, 4, 50)]
    assert (flows[0]["network"], flows[0]["src_flags"], flows[0]["service"], flows[0]["duration"]) == (
        "vlan:100.7",
        0x1B,
        "tls",
        2.0,
    )
    assert flows[0]["ts"].isoformat() == "2023-01-01T00:00:00.000001"
    assert _rows(tmp_path, "SELECT sni, version, flow_id FROM tls") == [
        {"sni": "a.example", "version": "TLSv1.3", "flow_id": flows[0]["flow_id"]}
    ]
    alert = _rows(tmp_path, "SELECT kind, severity, message_id FROM host_events")[0]
    assert alert == {"kind": "alert", "severity": "high", "message_id": "1:2:3"}


def test_our_own_zeek_conn_comes_back_as_the_same_flows(tmp_path: Path) -> None:
    from io import BytesIO

    from workbench.export.rows import write_json

    icmp = _with(uid="C2", proto="icmp", id_orig_p="8", id_resp_p="0", service="-", id_resp_h="192.0.2.9", conn_state="OTH")
    (tmp_path / "conn.log").write_text(
        _conn(_ROW, icmp, _with(uid="C3", proto="unknown_transport", id_orig_p="0", id_resp_p="0"))
    )
    _import(tmp_path, tmp_path / "conn.log")
    with CaseReader(tmp_path / "case") as reader:
        view = reader.query("SELECT * FROM zeek_conn ORDER BY uid")
    sink = BytesIO()
    write_json(view.schema, view.to_batches(), sink)
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "rows.json").write_bytes(sink.getvalue())
    _import(tmp_path / "back", tmp_path / "back" / "rows.json")
    same = "SELECT * EXCLUDE (sensor) FROM flows ORDER BY flow_id"
    assert _rows(tmp_path / "back", same) == _rows(tmp_path, same)
