"""Logs of the shared set: every record is a row, or the ledger says why not, and the counts are those published."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conformance.captures import folder, manifest
from workbench.workflows.import_logs import import_logs
from workbench.workflows.requests import IndexRequest, IndexResult

pytestmark = pytest.mark.conformance

#: Folders that are imported whole, by format.
_ZEEK = ("zat", "zat/json", "rita/json_with_all_fields", "rita/open_conns/closed", "rita/open_conns/open", "rita/proxy")
_ZEEK_MORE = ("rita/truncated", "rita/has_unknown_field", "slips/port-scans/horizontal", "slips/test10-mixed-zeek-dir")
_EVE = ("eve-telegraf", "eve-telegraf/v2")
#: Logs and events that a case has no table for; docs/imports.md lists them.
_NOT_KEPT = {
    "app_stats",
    "capture_loss",
    "dpd",
    "files",
    "ftp",
    "known_hosts",
    "known_services",
    "loaded_scripts",
    "notice",
    "tunnel",
}
_NOT_KEPT |= {"packet_filter", "reporter", "smtp", "software", "stats", "weird", "x509", "drop"}
#: Files that hold nothing that can be read, and why.
_REFUSED = {
    "rita/truncated/conn_top.log": "its head is cut off: nothing says which value is which",
    "zat/http_empty.log": "a head and no records",
}


def _records(path: Path) -> int | None:
    """How many records a file has, counted apart from what is tested; None where that can't be told so."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except EOFError:
            return None
    if path.parts[-2].startswith(("eve", "v2")):
        return 1
    return sum(1 for line in raw.decode().splitlines() if line.strip() and not line.strip().startswith("#"))


def _import(tmp: Path, name: str, form: str) -> IndexResult:
    files = [path for path in sorted((folder() / "logs" / name).iterdir()) if path.suffix in {".log", ".gz", ".json"}]
    return import_logs(IndexRequest(tuple(map(str, files)), tmp / "case", form=form))


@pytest.mark.parametrize(("name", "form"), [*((n, "zeek") for n in (*_ZEEK, *_ZEEK_MORE)), *((n, "eve") for n in _EVE)])
def test_every_record_is_a_row_or_the_ledger_says_why_not(tmp_path: Path, name: str, form: str) -> None:
    result = _import(tmp_path, name, form)
    told: dict[int, Counter[str]] = {}
    rows: Counter[int] = Counter()
    unused: dict[int, str] = {}
    for line in result.ledger:
        told.setdefault(line["source_id"], Counter())[line["reason"]] += line["count"]
        if line["reason"] == "lines_read":
            rows[line["source_id"]] = sum(int(n) for n in re.findall(r"([0-9]+) (?!flows)", f"{line['detail']} "))
        if line["reason"] == "lines_unused":
            unused[line["source_id"]] = re.sub(r" [0-9]+$", "", line["detail"] or "")
    for row in result.sources:
        path = Path(row["path"])
        short = str(path.relative_to(folder() / "logs"))
        counts = told[row["source_id"]]
        published = re.match(r"([0-9]+) records", manifest()[f"logs/{short}"]["expectation"])
        wanted = int(published[1]) if published else _records(path)
        if short in _REFUSED:
            assert row["state"] == "refused", short
            continue
        if wanted is not None:
            assert counts["lines_read"] == wanted, short
        kept = row["flows"] - counts["flows_implied"] + rows[row["source_id"]]
        lost = counts["duplicate_line"] + counts["bad_line"] + counts["not_a_flow"] + counts["lines_unused"]
        assert kept + lost >= counts["lines_read"], (short, row, counts)
        if counts["lines_unused"]:
            assert unused[row["source_id"]] in _NOT_KEPT, short


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    result = import_logs(IndexRequest((str(folder() / "logs/rita/text_file/conn.log"),), tmp_path / "case", form="zeek"))
    assert [row["state"] for row in result.sources] == ["refused"]


def test_flows_have_what_their_lines_say(tmp_path: Path) -> None:
    """Every value of zat's JSON conn.log, as Zeek wrote it, through our view of that name."""
    from workbench.store.reader import CaseReader

    _import(tmp_path, "zat/json", "zeek")
    lines = [json.loads(line) for line in (folder() / "logs/zat/json/conn.log").read_text().splitlines()]
    with CaseReader(tmp_path / "case") as reader:
        rows = reader.query("SELECT * FROM zeek_conn WHERE conn_state IS NOT NULL").to_pylist()
    fields = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "conn_state", "orig_pkts", "orig_ip_bytes", "resp_pkts")
    fields += ("resp_ip_bytes", "history")
    assert Counter(tuple(row[f] for f in fields) for row in rows) >= Counter(tuple(line.get(f) for f in fields) for line in lines)
    assert {round(line["ts"], 6) for line in lines} <= {round(row["ts"], 6) for row in rows}
