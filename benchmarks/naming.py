"""Naming 20 million flows: claims of two strengths on the addresses of a synthetic case, and both ends of all flows looked up.

``python -m benchmarks.naming FOLDER`` names a case that has its claims and prints what was done, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from benchmarks.measure import run, warm
from benchmarks.peers import environment
from benchmarks.report import Report, Row
from benchmarks.synthetic_case import _MAPPED, _START_US
from workbench.store.case import CaseFolder
from workbench.store.engine import connect
from workbench.store.schema import column_list
from workbench.store.segments import SegmentFiles

PART = "naming"
SECONDS, MEMORY = 20.0, 1.5e9
LATE = 1_000
"""claims that come when every flow has its names"""

_CLAIMS = """
SELECT 1::BIGINT AS source_id, format('{{:08x}}-{{}}', a, n) AS uid, format('app-{{}}-{{}}', a % 400, n) AS name,
       'ns-' || a % 40 AS namespace, 'pod' AS kind, 'node-' || a % 200 AS node, '{{"app":"app-' || a % 400 || '"}}' AS labels,
       {network} AS network, format('10.{{}}.{{}}.{{}}', a // 65536, a // 256 % 256, a % 256) AS ip, 0::BIGINT AS hi,
       {mapped} + a AS lo, NULL::VARCHAR AS mac, make_timestamp({start} + n * {span} + h % {span} // 4) AS ts_from,
       make_timestamp({start} + (n + 1) * {span} - h // 7 % ({span} // 8)) AS ts_to,
       make_timestamp({start} + n * {span}) AS ts_seen, '{origin}' AS origin, {worth}::DOUBLE AS confidence,
       NULL::VARCHAR AS detail
FROM (SELECT a, n, (hash(a * 1009 + n) >> 2)::BIGINT AS h FROM {addresses}, range({lives}) l(n))
"""
_DAY = 86_400_000_000
_SRC = "(SELECT range AS a FROM range(60001))"
_DST = "(SELECT 8388608 + range AS a FROM range(4001))"
_BUSY = "(SELECT range AS a FROM range(1500))"


def claims(late: bool = False) -> list[str]:
    """Queries that give claims: of clusters that know no network, and of an inventory that does; or the few that come late."""
    any_network = {"network": "NULL::VARCHAR", "origin": "kubernetes", "worth": 0.9}
    if late:
        few = f"(SELECT range * 60 AS a FROM range({LATE}))"
        return [_sql(few, 1, **(any_network | {"worth": 1.0, "origin": "libvirt"}))]
    networks = "(SELECT unnest(list_concat([format('vni:{}', 5000 + x) for x in range(20)],"
    networks += " [format('vlan:{}', 100 + x) for x in range(40)])) AS w)"
    named = {"network": "w", "origin": "csv", "worth": 1.0}
    return [_sql(_SRC, 8, **any_network), _sql(_DST, 4, **any_network), _sql(_BUSY, 4, **named, networks=networks)]


def _sql(addresses: str, lives: int, *, networks: str = "", **words: object) -> str:
    span = _DAY // lives
    text = _CLAIMS.format(addresses=addresses, lives=lives, mapped=_MAPPED, start=_START_US, span=span, **words)
    if networks:
        return text.replace("SELECT a, n, (hash", "SELECT a, n, w, (hash").replace(" l(n))", f" l(n), {networks})")
    return text


def tell(case: Path, late: bool = False) -> int:
    """Add claims to a case; how many."""
    folder = CaseFolder.open(case)
    con = connect(folder.temp_for_process(), memory="1GB")
    files, count = SegmentFiles(folder, {1: "leaf-1"}), 0
    for sql in claims(late):
        for batch in con.sql(f"SELECT {column_list('claims')} FROM ({sql})").to_arrow_reader(500_000):
            count += batch.num_rows
            files.write("claims", [_strict(batch)])
    con.close()
    return count


def _strict(batch: pa.RecordBatch) -> pa.RecordBatch:
    from workbench.records.arrow import arrow_schema

    return pa.RecordBatch.from_arrays(batch.columns, schema=arrow_schema("claims"))


def linked(case: Path, into: Path) -> Path:
    """A case folder with the same index, which is never changed in place."""
    into.mkdir()
    try:
        os.link(case / "case.duckdb", into / "case.duckdb")
    except OSError:
        shutil.copyfile(case / "case.duckdb", into / "case.duckdb")
    shutil.copyfile(case / "case.toml", into / "case.toml")
    return into


def measure(flows_case: Path, scratch: Path, rounds: int, report: Report) -> None:
    """All flows named from nothing, then anew after a few late claims."""
    warm(flows_case / "case.duckdb")
    said: dict[str, str] = {}
    for turn in range(rounds + 1):  # the last one for memory, whose sampling costs time
        case = linked(flows_case, scratch / f"case-{turn}")
        for what, late in ((f"{tell(case):,} claims on all flows", False), (f"{LATE:,} claims that came late", True)):
            if late:
                tell(case, late=True)
            words = [sys.executable, "-m", "benchmarks.naming", str(case)]
            env = {**environment(), "PYTHONPATH": str(Path(__file__).parents[1])}
            done = run(words, folder=scratch, memory=turn == rounds, env=env)
            if done.code:
                report.fail(PART, what, done.stderr)
                return
            said[what] = _told(done.stdout)
            if turn == rounds:
                report.add(Row(PART, f"{what}: peak RssAnon+RssShmem", done.peak_private, "B", MEMORY))
            else:
                report.times.setdefault(PART, {}).setdefault(what, []).append(done.seconds)
        shutil.rmtree(case)
    for what, note in said.items():
        report.add(Row(PART, f"{what}: whole process", statistics.median(report.times[PART][what]), "s", SECONDS, note=note))


def _told(stdout: str) -> str:
    told = json.loads(stdout.strip().splitlines()[-1])
    return f"{told['looked']:,} flows looked up, {told['named']:,} named, {told['ambiguous']:,} ambiguous"


def main() -> None:
    from workbench.workflows.naming import name_flows

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("case", type=Path)
    print(json.dumps(asdict(name_flows(parser.parse_args().case))))


if __name__ == "__main__":
    main()
