"""The sandbox: nothing but the case can be read, nothing at all changed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.rows import flows, index, source
from workbench.errors import CancelledError, QueryError
from workbench.store.engine import identifier, literal
from workbench.store.query import run_query
from workbench.store.reader import CaseReader
from workbench.store.segments import SegmentFiles
from workbench.store.writer import CaseWriter


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = tmp_path_factory.mktemp("query") / "case"
    index(case, 1000)
    (case.parent / "secret.csv").write_text("a,b\n1,secret\n")
    return case


@pytest.fixture(scope="module")
def reader(case: Path) -> CaseReader:
    return CaseReader(case)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseReader]:
    """A reader on the instance of a writer, where the case is attached for writing."""
    with CaseWriter(tmp_path_factory.mktemp("live") / "case") as writer:
        writer.add_source(source(1, state="ok"))
        yield writer.reader()


def answer(reader: CaseReader, sql: str, **more: object) -> list[dict[str, object]]:
    with run_query(reader, sql, **more) as rows:  # type: ignore[arg-type]
        return pa.Table.from_batches(list(rows), rows.schema).to_pylist()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) AS n FROM flows",
        "FROM flows SELECT count(*) AS n;",
        "WITH x AS (SELECT * FROM flows) SELECT count(*) AS n FROM x",
        "SELECT count(*) AS n FROM zeek_conn -- a comment; with a semicolon\n",
        "SELECT count(*) AS n FROM range(1000)",
        "SELECT count(*) AS n FROM (SELECT unnest(range(1000)))",
        "SELECT n FROM (VALUES (1000)) t(n)",
        "SELECT count(*)  AS n FROM conversations c JOIN flows f ON c.conversation_id = f.flow_id",
    ],
)
def test_questions_are_answered(reader: CaseReader, sql: str) -> None:
    assert answer(reader, sql) == [{"n": 1000}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1::DECIMAL(9, 2), [1]::INTEGER[], {'a': 1}::STRUCT(a BIGINT), 'x'::ENUM('x', 'y'), MAP {1: 2}",
        "SELECT * FROM flows ORDER BY ts DESC NULLS LAST, src_ip ASC, dst_ip LIMIT 10 OFFSET 3",
        "SELECT DISTINCT ON (src_ip) * FROM flows",
        "SELECT src_ip, rank() OVER (PARTITION BY dst_ip ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM flows",
        "SELECT src_ip, count(*) FILTER (proto = 6) FROM flows GROUP BY src_ip HAVING count(*) > 1 QUALIFY rank() OVER () < 9",
        "SELECT * FROM flows ASOF JOIN arp ON flows.ts >= arp.ts",
        "SELECT * FROM flows LEFT JOIN links USING (flow_id), LATERAL (SELECT flows.ts + INTERVAL 1 DAY)",
        "WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM x WHERE a < 5) SELECT * FROM x",
        "SELECT * FROM flows WHERE flow_id IN (SELECT flow_id FROM links) OR EXISTS (SELECT 1 FROM arp)",
        "SELECT 1 UNION SELECT 2 INTERSECT SELECT 2 EXCEPT SELECT 3 ORDER BY 1",
        "SELECT CASE WHEN proto BETWEEN 1 AND 6 THEN 'a' ELSE coalesce(service, 'b') END FROM flows",
        "SELECT * EXCLUDE (src_addr) REPLACE (upper(src_ip) AS src_ip) FROM flows USING SAMPLE 10 ROWS",
        "SELECT list_transform([1, 2], lambda x: x + 1), [x + 1 FOR x IN [1, 2]], regexp_matches('a', 'b')",
        "SELECT time_bucket(INTERVAL 1 MINUTE, ts), approx_quantile(src_bytes, 0.5) FROM flows GROUP BY GROUPING SETS ((1), ())",
        "SUMMARIZE flows",
        "SHOW TABLES",
        "SELECT COLUMNS('.*_ip') FROM flows",
        "VALUES (1, 'a')",
        "TABLE flows",
    ],
)
def test_all_of_select_is_there(reader: CaseReader, sql: str) -> None:
    answer(reader, sql)


@pytest.mark.parametrize("sql", ["EXPLAIN SELECT * FROM flows", "explain analyze select 1", "EXPLAIN (FORMAT json) SELECT 1"])
def test_explain_explains(reader: CaseReader, sql: str) -> None:
    assert answer(reader, sql)


def test_describe_and_parameters_and_limit(reader: CaseReader) -> None:
    assert len(answer(reader, "DESCRIBE flows")) >= 46
    assert answer(reader, "SELECT count(*) AS n FROM flows WHERE src_bytes < $x", params={"x": 305}) == [{"n": 5}]
    assert answer(reader, "SELECT count(*) AS n FROM flows WHERE src_bytes < ?", params=[305]) == [{"n": 5}]
    assert len(answer(reader, "SELECT * FROM flows -- end", limit=7)) == 7
    assert len(answer(reader, "SELECT * FROM flows ORDER BY ts;", limit=7)) == 7


ATTACKS = [
    # other statements
    "COPY flows TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT csv)",
    "COPY flows FROM '{secret}'",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{dir}'",
    "ATTACH '{out}' AS x",
    "DETACH c",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{secret}'",
    "SET enable_external_access = true",
    "SET threads = 64",
    "RESET ALL",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "USE c",
    "CHECKPOINT",
    "BEGIN",
    "VACUUM",
    "INSERT INTO flows SELECT * FROM flows",
    "DELETE FROM c.main.flows",
    "UPDATE c.main.sources SET state = 'ok'",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW flows AS SELECT 1",
    "CREATE MACRO count(x) AS 1",
    "DROP VIEW flows",
    "ALTER TABLE c.main.flows ADD COLUMN x INTEGER",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "EXPLAIN COPY flows TO '{out}'",
    "EXPLAIN ANALYZE COPY flows TO '{out}'",
    "EXPLAIN ANALYZE INSERT INTO c.main.ledger VALUES (1, 'a', 'b', 1, NULL, NULL)",
    "EXPLAIN ANALYZE DELETE FROM c.main.flows",
    "EXPLAIN EXPLAIN ANALYZE DELETE FROM c.main.flows",
    # more than one, or none
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY flows TO '{out}'",
    "",
    "   -- nothing",
    # writing inside a SELECT
    "WITH x AS (INSERT INTO c.main.ledger VALUES (1, 'a', 'b', 1, NULL, NULL) RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM c.main.flows RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE c.main.flows SET sensor = '' RETURNING *) SELECT * FROM x",
    "WITH x AS (COPY flows TO '{out}') SELECT * FROM x",
    "SELECT * FROM (WITH x AS (COPY flows TO '{out}') SELECT * FROM x)",
    "SELECT (WITH x AS (COPY flows TO '{out}') SELECT 1 FROM x)",
    "WITH y AS (WITH x AS (COPY flows TO '{out}') SELECT * FROM x) SELECT * FROM y",
    "SELECT 1 UNION ALL (WITH x AS (COPY flows TO '{out}') SELECT 1 FROM x)",
    "EXPLAIN ANALYZE WITH x AS (COPY flows TO '{out}') SELECT * FROM x",
    "SELECT * FROM (DELETE FROM c.main.flows RETURNING *)",
    # reading files
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_csv_auto('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM read_ndjson_objects('{secret}')",
    "SELECT * FROM read_parquet('{dir}/*.parquet')",
    "SELECT * FROM parquet_scan('{secret}')",
    "SELECT * FROM parquet_metadata('{secret}')",
    "SELECT * FROM glob('{dir}/*')",
    "SELECT * FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    "SELECT * FROM 'file://{secret}'",
    "FROM '{secret}'",
    "SELECT * FROM flows WHERE src_ip IN (SELECT content FROM read_text('{secret}'))",
    "SELECT (SELECT content FROM read_text('{secret}')) FROM flows",
    "WITH x AS (SELECT * FROM read_text('{secret}')) SELECT * FROM x",
    "SELECT * FROM flows, LATERAL (SELECT * FROM glob('/*'))",
    "SELECT * FROM flows ORDER BY (SELECT count(*) FROM glob('/etc/*'))",
    "SELECT * FROM flows LIMIT (SELECT count(*) FROM glob('/etc/*'))",
    "SELECT * FROM (DESCRIBE SELECT * FROM read_csv('{secret}'))",
    "DESCRIBE SELECT * FROM read_csv('{secret}')",
    "SUMMARIZE SELECT * FROM '{secret}'",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "SELECT * FROM query_table('{secret}')",
    "SELECT * FROM sqlite_scan('{secret}', 'x')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM python_map_function(1)",
    # what is not the case's
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM pragma_database_list()",
    "SELECT * FROM duckdb_temporary_files()",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM which_secret('a', 'b')",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint()",
    "SELECT * FROM local_variable_of_python",
    "SELECT * FROM pa_table",
    # nonsense
    "SELECT",
    "SELEC 1",
    "SELECT nothing FROM flows",
    "SELECT * FROM nothing",
    "\0",
    "SELECT '\0'",
    "SELECT 1 FROM flows WHERE src_ip = 'a",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("where", ["file", "writer"])
def test_attacks_are_refused_and_leave_nothing(
    case: Path, reader: CaseReader, live: CaseReader, tmp_path: Path, attack: str, where: str
) -> None:
    pa_table = local_variable_of_python = pa.table({"a": ["secret"]})
    assert pa_table is local_variable_of_python
    out = tmp_path / "out"
    sql = attack.format(out=out, secret=case.parent / "secret.csv", dir=case.parent)
    before = sorted(os.fspath(p) for p in case.parent.rglob("*"))
    asked = reader if where == "file" else live
    with pytest.raises(QueryError):
        answer(asked, sql)
    assert asked.query("SELECT count(*) AS n FROM ledger").to_pylist() == [{"n": 0}]
    assert asked.query("SELECT count(*) AS n FROM sources WHERE state = 'ok'").to_pylist() == [{"n": 1}]
    assert not out.exists()
    assert sorted(os.fspath(p) for p in case.parent.rglob("*")) == before


def test_the_instance_itself_reads_no_files_whatever_the_statement_check_lets_through(reader: CaseReader, case: Path) -> None:
    """The second wall alone: the engine refuses, even the program's own SQL."""
    for sql in (f"SELECT * FROM read_text('{case.parent}/secret.csv')", "SELECT * FROM glob('/etc/*')", "SET threads = 3"):
        with pytest.raises(Exception, match=r"(?i)permission|disabled|locked|changed"):
            reader.cursor().execute(sql).fetchall()
    with pytest.raises(Exception, match=r"(?i)permission|disabled|external"):
        reader.cursor().execute(f"ATTACH '{case.parent}/x.db'")


def test_segments_may_be_read_by_name_only_through_the_tables(case: Path, tmp_path: Path) -> None:
    mine = tmp_path / "case"
    index(mine, 10)
    with CaseReader(mine) as reader:
        SegmentFiles(reader.case, {2: "s"}).write("flows", [flows(5, 2)])
        reader.refresh()
        assert answer(reader, "SELECT count(*) AS n FROM flows") == [{"n": 15}]
        name = next((mine / "segments").rglob("*.parquet"))
        with pytest.raises(QueryError):
            answer(reader, f"SELECT * FROM '{name}'")


def test_rows_stream_and_an_interrupt_ends_them(reader: CaseReader) -> None:
    rows = run_query(reader, "SELECT a.flow_id FROM flows a, flows b, flows c")
    batches = iter(rows)
    assert next(batches).num_rows > 0
    rows.close()
    slow = run_query(reader, "SELECT count(*) FROM range(1)")
    slow.interrupt()
    slow.close()


def test_a_failing_row_is_a_query_error(reader: CaseReader) -> None:
    with pytest.raises((QueryError, CancelledError)):
        answer(reader, "SELECT CAST(src_ip AS INTEGER) FROM flows")
    with pytest.raises(QueryError):
        answer(reader, "SELECT error('no')")


def test_deep_nesting_is_refused_and_harms_nothing(reader: CaseReader) -> None:
    with pytest.raises(QueryError):
        answer(reader, "SELECT " + "(" * 5000 + "1" + ")" * 5000)
    assert answer(reader, "SELECT 1 AS n") == [{"n": 1}]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40))
def test_quoted_names_and_values_mean_themselves(reader: CaseReader, text: str) -> None:
    found = answer(reader, f"SELECT {literal(text)} AS {identifier(text or 'x')}")
    assert found == [{text or "x": text}]


def test_nul_is_refused_in_literals() -> None:
    with pytest.raises(ValueError):
        literal("a\0b")


WORDS = (
    "SELECT * FROM flows read_text ( ) '/etc/passwd' ; , 1 glob COPY TO EXPLAIN WITH x AS UNION ALL -- /* */ $1 ? \" ::"
    " INTEGER WHERE getenv LIMIT DELETE RETURNING"
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sql=st.lists(
        st.sampled_from(WORDS.split()),
        max_size=12,
    )
)
def test_word_salad_ends_in_rows_or_a_query_error(reader: CaseReader, sql: list[str]) -> None:
    try:
        rows = answer(reader, " ".join(sql), limit=5)
    except QueryError:
        return
    assert "root:" not in str(rows)
