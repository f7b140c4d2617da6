"""A synthetic older version becomes the current one, or stays as it was."""

import os
import shutil
from pathlib import Path

import duckdb
import pytest
from pyarrow import parquet

from tests.store.rows import NUMBERS, batch, flow, index, source, without_numbers
from workbench.errors import ForeignCaseError
from workbench.records.application import APPLICATION
from workbench.records.columns import SCHEMA_VERSION
from workbench.store import catalogue, compact, opening, schema
from workbench.store.case import CaseFolder
from workbench.store.migrate import STEPS, migrate
from workbench.store.reader import CaseReader
from workbench.store.schema_seven import SCHEMA_7
from workbench.store.schema_six import SCHEMA_6
from workbench.store.segments import SegmentFiles
from workbench.store.writer import CaseWriter

#: The version before the one that these tests pretend is current.
OLD, NEW = SCHEMA_VERSION, SCHEMA_VERSION + 1


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A case as a version before ours would have written it: a column less, one of another name, other views."""
    case = tmp_path / "case"
    index(case, 20)
    with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
        con.execute("ALTER TABLE sources RENAME COLUMN sensor TO probe")
        con.execute("ALTER TABLE links DROP COLUMN cause")
        con.execute("DROP VIEW zeek_conn")
        con.execute("CREATE VIEW of_old AS SELECT 1 AS a")
    return case


def step(con: duckdb.DuckDBPyConnection, where: str) -> None:
    con.execute(f"ALTER TABLE {where}sources RENAME COLUMN probe TO sensor")
    con.execute(f"ALTER TABLE {where}links ADD COLUMN cause VARCHAR")
    con.execute(f"UPDATE {where}links SET cause = 'half'")
    con.execute(f"ALTER TABLE {where}links ALTER cause SET NOT NULL")


def use(monkeypatch: pytest.MonkeyPatch, steps: dict[int, object]) -> None:
    monkeypatch.setattr(compact, "migrate", lambda con, database: migrate(con, database, steps, NEW))  # type: ignore[arg-type]
    for module in (schema, catalogue, compact, opening):
        monkeypatch.setattr(module, "SCHEMA_VERSION", NEW)


def test_an_older_case_is_migrated_when_it_is_opened(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {OLD: step})
    with CaseReader(older) as reader:
        assert reader.query("SELECT count(*) AS n FROM zeek_conn").to_pylist() == [{"n": 20}]
        assert reader.query("SELECT sensor FROM sources").to_pylist() == [{"sensor": "s1"}]
        assert reader.query("SELECT * FROM links").column_names == ["flow_id", "conversation_id", "cause"]
    with duckdb.connect(os.fspath(older / "case.duckdb"), read_only=True) as con:
        assert con.execute("SELECT value FROM case_meta WHERE key = 'schema_version'").fetchall() == [(str(NEW),)]
        names = [n for (n,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()]
        assert "of_old" not in names
        assert "zeek_conn" in names
    assert CaseFolder.open(older).describe()["schema_version"] == NEW


def test_a_step_that_fails_leaves_the_case_as_it_was(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(con: duckdb.DuckDBPyConnection, where: str) -> None:
        step(con, where)
        con.execute(f"ALTER TABLE {where}nothing ADD COLUMN a INTEGER")

    before = (older / "case.duckdb").read_bytes()
    use(monkeypatch, {OLD: broken})
    with pytest.raises(duckdb.CatalogException):
        CaseReader(older)
    assert (older / "case.duckdb").read_bytes() == before
    assert not (older / "case.duckdb.next").exists()


def test_a_missing_step_is_said(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {})
    with pytest.raises(ForeignCaseError, match=f"no way from {OLD} to {NEW}"):
        CaseReader(older)


def test_steps_run_one_after_the_other(tmp_path: Path) -> None:
    case = tmp_path / "case"
    index(case, 3)
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(case / "case.duckdb", copy)
    ran = []
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{copy}' AS c")
        start = SCHEMA_VERSION
        steps = {start + n: (lambda _con, _where, n=n: ran.append(n)) for n in range(3)}
        assert migrate(con, "c", steps, start + 3) == 3
        assert migrate(con, "c", steps, start + 3) == 0
    assert ran == [0, 1, 2]


def test_the_result_of_all_steps_is_the_current_catalogue() -> None:
    """Every version from the first to the one before ours has its step."""
    assert set(STEPS) == set(range(1, SCHEMA_VERSION))


ENDS = [
    (bytes(10) + b"\xff\xff\x0a\0\0\x05", 0, (0xFFFF << 32) + 0x0A000005),
    (bytes(16), 0, 0),
    (b"\xfd" + bytes(14) + b"\x01", (0xFD << 56) - 2**64, 1),
    (b"\x20\x01" + bytes(6) + b"\x80" + bytes(7), 0x2001 << 48, -(2**63)),
    (b"\xff" * 16, -1, -1),
    (None, None, None),
    (b"", None, None),
    (b"\x0a\0\0\x05", None, None),
]


def of_schema_3(case: Path) -> None:
    """Make a case of ours one that schema 3 wrote."""
    with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
        without_numbers(con)
        for table in APPLICATION:
            con.execute(f"DROP TABLE {table.name}")
        for name in ("interface_counters", *SCHEMA_6, *SCHEMA_7):
            con.execute(f"DROP TABLE {name}")
        con.execute("UPDATE case_meta SET value = '3' WHERE key = 'schema_version'")
    CaseFolder(case).note_schema_version(3)


def numbers(reader: CaseReader, side: str) -> list[tuple[bytes | None, int | None, int | None]]:
    sql = f"SELECT {side}_addr AS a, {side}_hi AS b, {side}_lo AS c FROM flows ORDER BY flow_id"
    return [(row["a"], row["b"], row["c"]) for row in reader.query(sql).to_pylist()]


def test_addresses_of_schema_3_become_numbers(tmp_path: Path) -> None:
    case = tmp_path / "case"
    rows = [flow(n, src_addr=one[0], dst_addr=other[0]) for n, (one, other) in enumerate(zip(ENDS, ENDS[::-1], strict=True))]
    with CaseWriter(case) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", rows))
        writer.update_source(1, state="ok")
    of_schema_3(case)
    with CaseReader(case) as reader:
        assert numbers(reader, "src") == ENDS
        assert numbers(reader, "dst") == ENDS[::-1]
        assert reader.query("SELECT count(*) AS n FROM zeek_conn").to_pylist() == [{"n": len(ENDS)}]


def test_segments_that_schema_3_left_behind_are_taken_in_with_numbers(tmp_path: Path) -> None:
    """A program before ours died while it added to a case: neither its file nor its segments have the columns."""
    case = tmp_path / "case"
    index(case, 3)
    of_schema_3(case)
    rows = [flow(n, 2, src_addr=packed) for n, (packed, _, _) in enumerate(ENDS)]
    SegmentFiles(CaseFolder(case), {2: "s2"}).write("flows", [batch("flows", rows)])
    (segment,) = case.rglob("*.parquet")
    parquet.write_table(parquet.ParquetFile(segment).read().drop_columns(list(NUMBERS)), segment)
    with CaseReader(case) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 3 + len(ENDS)}]
        assert numbers(reader, "src")[3:] == ENDS


@pytest.mark.parametrize(
    ("version", "lacks"),
    [
        (4, ("interface_counters", *SCHEMA_6, *SCHEMA_7)),
        (5, (*SCHEMA_6, *SCHEMA_7)),
        (6, tuple(SCHEMA_7)),
    ],
)
def test_a_case_of_a_schema_gets_the_tables_that_came_later(tmp_path: Path, version: int, lacks: tuple[str, ...]) -> None:
    case = tmp_path / "case"
    index(case, 3)
    with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
        for name in lacks:
            con.execute(f"DROP TABLE {name}")
        con.execute("UPDATE case_meta SET value = ? WHERE key = 'schema_version'", [str(version)])
    CaseFolder(case).note_schema_version(version)
    with CaseReader(case) as reader:
        assert all(reader.query(f"SELECT count(*) AS n FROM {name}").to_pylist() == [{"n": 0}] for name in lacks)
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 3}]
    assert CaseFolder(case).describe()["schema_version"] == SCHEMA_VERSION
