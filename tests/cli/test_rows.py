"""`flows` and `query` under a filter, as a person calls them."""

import json
from pathlib import Path

import duckdb
import pytest

from tests.store.rows import batch, flow, source
from workbench.audit.log import AuditLog
from workbench.cli.app import run
from workbench.store.writer import CaseWriter


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("filtered") / "case"
    with CaseWriter(root) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n) for n in range(100)]))
        writer.update_source(1, state="ok", packets=900, flows=100)
    return root


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    assert run([*words, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, list)
    return found


def test_flows_are_filtered(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = asked(capsys, "flows", "--case", str(case), "--filter", "src_ip in {10.0.0.3..10.0.0.5} && tcp", "--columns", "src_ip")
    assert [row["src_ip"] for row in rows] == ["10.0.0.3", "10.0.0.4", "10.0.0.5"]


def test_relative_times_count_from_the_last_packet(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = asked(capsys, "flows", "--case", str(case), "--filter", "ts >= -10500us", "--columns", "flow_id")
    assert len(rows) == 11  # the last began 500 us before its last packet, and each a millisecond after the one before


def test_a_query_sees_the_filtered_flows_by_any_plain_name(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("flows", "zeek_conn", "conversations", "ecs_flow"):
        sql = f"WITH f AS (SELECT * FROM {name}) SELECT count(*) AS n FROM f"
        assert asked(capsys, "query", sql, "--case", str(case)) == [{"n": 100}], name
        assert asked(capsys, "query", sql, "--case", str(case), "--filter", "src_ip == 10.0.0.0/30") == [{"n": 4}], name
    assert asked(capsys, "query", "SELECT count(*) AS n FROM flows", "--case", str(case)) == [{"n": 100}]


def test_a_query_sees_flows_filtered_by_other_tables(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT count(*) AS n FROM flows"
    assert asked(capsys, "query", sql, "--case", str(case), "--filter", "!links && !(arp.opcode == 2)") == [{"n": 100}]
    assert asked(capsys, "query", sql, "--case", str(case), "--filter", "sources.kind == pcap && src_port < 1034") == [{"n": 10}]
    assert asked(capsys, "query", f"EXPLAIN {sql}", "--case", str(case), "--filter", "tcp")
    assert asked(capsys, "query", sql, "--case", str(case), "--filter", "  ") == [{"n": 100}]


@pytest.mark.parametrize("sql", ["SELECT getvariable('filter_0')", "CREATE TEMP VIEW x AS SELECT 1", "SELECT 1; SELECT 2"])
def test_a_filter_opens_no_wall(case: Path, capsys: pytest.CaptureFixture[str], sql: str) -> None:
    assert run(["query", sql, "--case", str(case), "--filter", "port == 443"]) == 2
    assert capsys.readouterr().err.startswith("Wrong query:")


@pytest.mark.parametrize("command", [["flows"], ["query", "SELECT * FROM flows"]])
def test_a_wrong_filter_is_2_and_says_where(case: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert run([*command, "--case", str(case), "--filter", "tcp.prot == 443"]) == 2
    assert capsys.readouterr().err == 'Wrong filter: unknown field "tcp.prot" at column 1; did you mean tcp.port?\n'


def test_shown_sql_runs_in_the_plain_shell(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'src_ip == 10.0.0.0/30 && ts >= 2023-11-14 && !(sensor == "a\'b\\x1b") && duration < 1s'
    words = ["flows", "--case", str(case), "--filter", text, "--show-sql", "--columns", "flow_id", "--limit", "3"]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert shown.isprintable() or shown.count("\n") == 1
    with duckdb.connect(str(case / "case.duckdb"), read_only=True) as con:
        assert [row[0] & 0xFF for row in con.execute(shown).fetchall()] == [0, 1, 2]


def test_rows_in_a_file_are_in_the_log_and_rows_on_stdout_are_not(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = AuditLog(case)
    before = len(log.read())
    out = tmp_path / "rows.csv"
    assert run(["query", "SELECT 1 AS a", "--case", str(case), "--format", "csv"]) == 0
    assert len(log.read()) == before
    assert run(["query", "SELECT 1 AS a UNION SELECT 2", "--case", str(case), "-o", str(out)]) == 0
    assert run(["flows", "--limit", "1", "--case", str(case), "--filter", "tcp", "-o", str(out)]) == 0
    said = [(entry.action, entry.detail["asked"], entry.detail["rows"]) for entry in log.read()[before:]]
    assert said == [("rows_exported", "SELECT 1 AS a UNION SELECT 2", 2), ("rows_exported", "flows tcp", 1)]
    assert capsys.readouterr().err == ""
