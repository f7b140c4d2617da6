"""Cases from strangers: whatever is not ours in the catalogue is found, named, and left behind by a rebuild."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.store.rows import flows, index
from workbench.errors import ForeignCaseError, NotACaseError
from workbench.records.columns import SCHEMA_VERSION
from workbench.store.case import CaseFolder
from workbench.store.catalogue import rebuild
from workbench.store.reader import CaseReader
from workbench.store.segments import SegmentFiles, list_segments
from workbench.store.writer import CaseWriter


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = tmp_path_factory.mktemp("ours") / "case"
    index(case, 50)
    return case


@pytest.fixture
def doctored(ours: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a good case in which somebody ran some SQL."""

    def make(*statements: str) -> Path:
        case = tmp_path / "foreign"
        shutil.copytree(ours, case)
        with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
            for sql in statements:
                con.execute(sql)
        return case

    return make


SECRET = "/etc/hostname"

CHANGES = {
    "table flows as a view": (
        ["ALTER TABLE flows RENAME TO real", "CREATE VIEW flows AS SELECT * REPLACE ('x' AS src_ip) FROM real"],
        "flows",
    ),
    "view with read_text": (
        [f"CREATE OR REPLACE VIEW zeek_conn AS SELECT content AS uid FROM read_text('{SECRET}')"],
        "view main.zeek_conn differs",
    ),
    "view with another filter": (
        ["CREATE OR REPLACE VIEW conversations AS SELECT * FROM flows WHERE dst_port <> 427"],
        "view main.conversations differs",
    ),
    "view of a word more": (["CREATE OR REPLACE VIEW extra AS SELECT 1 AS a"], "view main.extra is not ours"),
    "view dropped": (["DROP VIEW ecs_flow"], "view main.ecs_flow is missing"),
    "macro": (["CREATE MACRO epoch_us(x) AS 0"], "macro main.epoch_us"),
    "table macro": (["CREATE MACRO sneak() AS TABLE SELECT 1"], "macro main.sneak"),
    "schema": (["CREATE SCHEMA pg_temp2"], "schema pg_temp2"),
    "table": (["CREATE TABLE more (a INTEGER)"], "table main.more"),
    "table in a schema": (["CREATE SCHEMA s", "CREATE TABLE s.flows AS SELECT * FROM flows"], "s.flows"),
    "column type": (["ALTER TABLE ledger ALTER count TYPE VARCHAR"], "column main.ledger.count differs"),
    "column more": (["ALTER TABLE flows ADD COLUMN payload BLOB"], "column main.flows.payload"),
    "column dropped": (["ALTER TABLE flows DROP COLUMN verdict"], "column main.flows.verdict is missing"),
    "column default": (["ALTER TABLE arp ALTER src_ip SET DEFAULT 'x'"], "column main.arp.src_ip differs"),
    "nullable": (["ALTER TABLE arp ALTER network DROP NOT NULL"], "column main.arp.network differs"),
    "sequence": (["CREATE SEQUENCE q"], "sequence main.q"),
    "type": (["CREATE TYPE mood AS ENUM ('a')"], "type main.mood"),
    "index": (["CREATE INDEX i ON links (flow_id)"], "index main.i"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_found_and_named(doctored: Callable[..., Path], name: str, tmp_path: Path) -> None:
    statements, named = CHANGES[name]
    case = doctored(*statements)
    with pytest.raises(ForeignCaseError, match="not as this program writes it") as caught:
        CaseReader(case)
    assert named in caught.value.message
    assert "Rebuild" in caught.value.remedy
    before = (case / "case.duckdb").read_bytes()
    with pytest.raises(ForeignCaseError):
        CaseWriter(case)
    assert (case / "case.duckdb").read_bytes() == before
    if "flows" in named and "view" in name:
        with pytest.raises(ForeignCaseError):
            rebuild(case, tmp_path / "fresh")
        return
    fresh = rebuild(case, tmp_path / "fresh")
    with CaseReader(fresh.root) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 50}]
        assert reader.query("SELECT count(*) AS n FROM zeek_conn").to_pylist() == [{"n": 50}]
        assert "payload" not in reader.query("SELECT * FROM flows LIMIT 0").column_names


def test_a_rebuild_copies_every_row_of_every_known_table(ours: Path, tmp_path: Path) -> None:
    fresh = rebuild(ours, tmp_path / "fresh")
    with CaseReader(ours) as a, CaseReader(fresh.root) as b:
        for table in ("flows", "sources", "ledger"):
            sql = f"SELECT * FROM {table} ORDER BY ALL"
            assert a.query(sql).equals(b.query(sql))
    with pytest.raises(NotACaseError):
        rebuild(ours, tmp_path)
    index(fresh.root, 5, 2)


def test_rows_that_break_our_types_are_left_out_of_a_rebuild(doctored: Callable[..., Path], tmp_path: Path) -> None:
    case = doctored(
        "ALTER TABLE flows ALTER src_port TYPE VARCHAR",
        "UPDATE flows SET src_port = 'no number' WHERE flow_id % 2 = 0",
        "ALTER TABLE ledger ALTER kind DROP NOT NULL",
        "INSERT INTO ledger VALUES (1, 'a', NULL, 1, NULL, NULL), (1, 'b', 'note', 1, NULL, NULL)",
    )
    with CaseReader(rebuild(case, tmp_path / "fresh").root) as reader:
        assert reader.query("SELECT count(*) AS n, count(src_port) AS p FROM flows").to_pylist() == [{"n": 50, "p": 25}]
        assert reader.query("SELECT reason FROM ledger").to_pylist() == [{"reason": "b"}]


def test_a_newer_schema_is_refused_as_such(doctored: Callable[..., Path]) -> None:
    case = doctored(f"UPDATE case_meta SET value = '{SCHEMA_VERSION + 1}'")
    with pytest.raises(ForeignCaseError, match="newer version"):
        CaseReader(case)


def test_another_programs_database_and_no_database_are_refused(tmp_path: Path) -> None:
    case = CaseFolder.create(tmp_path / "case")
    with duckdb.connect(os.fspath(case.database)) as con:
        con.execute("CREATE TABLE photos (a INTEGER)")
    with pytest.raises(ForeignCaseError):
        CaseReader(case.root)
    case.database.write_bytes(b"\x7fELF" + os.urandom(5000))
    with pytest.raises(ForeignCaseError, match="cannot be opened"):
        CaseReader(case.root)


def test_a_truncated_database_is_a_clean_error(ours: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    shutil.copytree(ours, case)
    whole = (case / "case.duckdb").read_bytes()
    for size in (0, 100, 4096, 12288, len(whole) // 2):
        (case / "case.duckdb").write_bytes(whole[:size])
        with pytest.raises(ForeignCaseError), CaseReader(case) as reader:
            reader.query("SELECT * FROM flows")


def test_links_in_a_strangers_segments_are_not_followed(ours: Path, tmp_path: Path) -> None:
    case, other = tmp_path / "case", tmp_path / "other"
    shutil.copytree(ours, case)
    index(other, 5)
    SegmentFiles(CaseFolder.open(other), {2: "s"}).write("flows", [flows(9, 2)])
    target = next((other / "segments").rglob("*.parquet"))
    (case / "segments" / "flows").mkdir(parents=True)
    (case / "segments" / "flows" / target.name).symlink_to(target)
    (case / "segments" / "arp").symlink_to(other / "segments" / "flows")
    assert list_segments(CaseFolder.open(case)) == []
    shutil.rmtree(case / "segments")
    (case / "segments").symlink_to(other / "segments")
    assert list_segments(CaseFolder.open(case)) == []
    with CaseReader(case) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 50}]
