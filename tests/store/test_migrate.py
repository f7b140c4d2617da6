"""A synthetic older version becomes the current one, or stays as it was."""

import os
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.store.rows import index
from workbench.errors import ForeignCaseError
from workbench.records.columns import SCHEMA_VERSION
from workbench.store import catalogue, compact, opening, schema
from workbench.store.case import CaseFolder
from workbench.store.migrate import STEPS, migrate
from workbench.store.reader import CaseReader

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
