"""A person's SQL against a case: one SELECT or EXPLAIN, reading nothing but the case, changing nothing.

Four walls. Only statements of these two kinds are run. In the parsed statement nothing may stand but what is
known to read tables: the engine takes INSERT, DELETE and COPY inside a WITH clause, and functions that read
files where a table stands. The transaction is read-only. And the instance has external access switched off
and its configuration locked.

Under a filter, `flows` and the views over it are shadowed, for this question's cursor alone, by temporary views
that hold the filter's flows. The condition is the program's own, so it need not pass the walls; its values are
variables of the cursor, which the person's statement cannot name (getvariable is refused).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from workbench.errors import CancelledError, QueryError
from workbench.store.engine import as_query_error, asking, identifier
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks, CaseReader
from workbench.store.views import view_statements

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement

#: Rows of a result batch: what keeps memory flat and still costs no time per batch.
_BATCH: Final = 65_536

#: The table functions that a person's query may call. Everything else that stands where a table stands is refused.
_TABLE_FUNCTIONS: Final = frozenset(
    {"range", "generate_series", "unnest", "repeat", "repeat_row", "glob_match", "summary", "histogram", "json_each", "json_tree"}
)

#: What may stand in a parsed statement besides expressions: kinds of queries and of things in FROM.
_NODES: Final = frozenset(
    {
        "SELECT_NODE",
        "SET_OPERATION_NODE",
        "RECURSIVE_CTE_NODE",
        "CTE_NODE",
        "BASE_TABLE",
        "EMPTY",
        "SUBQUERY",
        "JOIN",
        "EXPRESSION_LIST",
        "TABLE_FUNCTION",
        "SHOW_REF",
        "CTE",
        # parts of an ORDER BY
        "ASCENDING",
        "DESCENDING",
        "ORDER_DEFAULT",
    }
)
_NODE_ENDINGS: Final = ("_MODIFIER", "_TYPE_INFO")

#: Scalar functions that tell about or reach beyond the case.
_SCALAR_FUNCTIONS_REFUSED: Final = frozenset(
    {
        "getenv",
        "current_setting",
        "nextval",
        "currval",
        "setseed",
        "write_log",
        "parse_duckdb_log_message",
        "query",
        "query_table",
        "getvariable",
        "add_parquet_key",
        "create_sort_key_file",
        "json_execute_serialized_sql",
        "json_deserialize_sql",
    }
)


class Stop:
    """Ends a query from another thread, whether it has begun or not. Once stopped it stays stopped."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._cursor: DuckDBPyConnection | None = None

    @property
    def stopped(self) -> bool:
        """Whether it was."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Stop it, from any thread; calling again does no harm, and catches what had only been about to begin."""
        import duckdb

        self._stopped.set()
        if self._cursor is not None:
            with contextlib.suppress(duckdb.ConnectionException):  # closed: read to its end
                self._cursor.interrupt()

    def hold(self, cursor: DuckDBPyConnection) -> None:
        """The cursor that the query runs on. CancelledError where it was stopped before."""
        self._cursor = cursor
        self.check()

    def check(self) -> None:
        """CancelledError where it was stopped."""
        if self._stopped.is_set():
            raise CancelledError("the query was stopped")


class Rows:
    """The result of a query: its schema and its record batches, read once, fetched as they are asked for."""

    def __init__(self, reader: CaseReader, cursor: DuckDBPyConnection, batches: pa.RecordBatchReader) -> None:
        self.schema: pa.Schema = batches.schema
        self._batches = batches
        self._cursor = cursor
        self._reader = reader

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Record batches; QueryError where the query fails on the way, CancelledError after an interrupt."""
        while True:
            try:
                batch = self._batches.read_next_batch()
            except StopIteration:
                return
            except (pa.ArrowException, OSError, RuntimeError) as error:
                if "nterrupt" in str(error):
                    raise CancelledError("the query was stopped") from error
                raise as_query_error(error) from error
            if batch.num_rows:
                yield batch

    def close(self) -> None:
        """Stop, where rows are left."""
        self._batches.close()
        self._cursor.close()

    def interrupt(self) -> None:
        """Stop the query; from any thread."""
        self._cursor.interrupt()

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_query(
    case: CaseReader,
    sql: str,
    params: Sequence[Any] | dict[str, Any] = (),
    limit: int | None = None,
    where: Where = EVERYTHING,
    stop: Stop | None = None,
    batch: int = _BATCH,
) -> Rows:
    """Run one SELECT or EXPLAIN of a person; rows come as they are computed, memory stays flat.

    params: values for ? or $name. limit: at most so many rows (of a SELECT). where: the flows that the question
    sees as `flows`. stop: ends it from another thread, before its first row, too. batch: rows a batch at most.
    QueryError where it is no such statement, uses what is refused, or the engine refuses it.
    """
    import duckdb

    if "\0" in sql:
        raise QueryError("a query cannot have a NUL character", "Remove it.")
    cursor = case.own_cursor()
    if stop is not None:
        stop.hold(cursor)
    try:
        with asking():
            statement = _checked(cursor, sql)
            if not where.everything:
                _narrow(cursor, where)
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            if limit is not None and statement.type == duckdb.StatementType.SELECT:
                text = f"SELECT * FROM ({statement.query.rstrip().rstrip(';')}\n) LIMIT {int(limit)}"
            else:
                text = statement.query
            if stop is not None:
                stop.check()
            batches = (_whole if case.live else _stream)(cursor, text, params, batch)
    except (duckdb.InterruptException, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "nterrupt" not in str(error):  # so it is called where a signal is pending
            raise
        raise CancelledError("the query was stopped") from error
    return Rows(case, cursor, batches)


def ask_guarded(asks: Asks, sql: str, params: dict[str, Any], limit: int) -> pa.Table:
    """Run one SELECT of a person's through whoever can be asked and stopped; at most `limit` rows, all at once.

    params: values for $name, exactly those that the statement has. QueryError where it is no such statement, uses what
    is refused, or the engine refuses it; CancelledError when stopped.
    """
    if "\0" in sql:
        raise QueryError("a query cannot have a NUL character", "Remove it.")
    with asking():
        tree = _tree(str(asks.query("SELECT json_serialize_sql($1) AS tree", [sql])["tree"][0].as_py()))
        _one_statement(len(tree.get("statements", ())))
        _check_tree(tree)
        _check_parameters(tree, params)
        return asks.query(f"SELECT * FROM ({sql.strip().rstrip(';')}\n) LIMIT {int(limit)}", params)


def _narrow(cursor: DuckDBPyConnection, where: Where) -> None:
    """From here on this cursor sees only those flows, under the plain names of `flows` and of every view.

    Temporary views belong to the cursor and come first in its search path. Views cannot have parameters: values
    are variables, which the engine folds as it does constants.
    """
    pieces = where.sql.split("?")
    if len(pieces) != len(where.params) + 1:
        raise ValueError("a condition has one ? for each value")
    condition = pieces[0]
    for n, (value, piece) in enumerate(zip(where.params, pieces[1:], strict=True)):
        cursor.execute(f"SET VARIABLE filter_{n} = ?", [value])
        condition += f"getvariable('filter_{n}'){piece}"
    cursor.execute(f"CREATE TEMP VIEW flows AS SELECT * FROM memory.main.flows WHERE {condition}")
    for name, sql in view_statements().items():
        cursor.execute(f"CREATE TEMP VIEW {identifier(name)} AS {sql}")


def _stream(cursor: DuckDBPyConnection, sql: str, params: Sequence[Any] | dict[str, Any], batch: int) -> pa.RecordBatchReader:
    return cursor.sql(sql, params=params or None).to_arrow_reader(batch)


def _whole(cursor: DuckDBPyConnection, sql: str, params: Sequence[Any] | dict[str, Any], batch: int) -> pa.RecordBatchReader:
    """All rows at once: a result that is read in pieces would hold up the writer that wants to publish."""
    table = cursor.sql(sql, params=params or None).to_arrow_table()
    cursor.execute("ROLLBACK")
    return table.to_reader(batch)


def _checked(cursor: DuckDBPyConnection, sql: str) -> Statement:
    """The one statement in the text; QueryError where there are more, or it is of another kind."""
    import duckdb

    statements = cursor.extract_statements(sql)
    _one_statement(len(statements))
    statement = statements[0]
    if statement.type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise QueryError(
            f"{statement.type.name} is not allowed: only SELECT and EXPLAIN are", "The case is read, never changed, by a query."
        )
    inner = statement.query
    if statement.type == duckdb.StatementType.EXPLAIN:
        inner = _explained(cursor, inner)
    _check_tree(_parsed(cursor, inner))
    return statement


def _one_statement(count: int) -> None:
    if count != 1:
        raise QueryError(f"a query is one statement, this is {count}", "Ask one question at a time.")


def _explained(cursor: DuckDBPyConnection, sql: str) -> str:
    """What an EXPLAIN explains; QueryError where that is no SELECT."""
    import re

    import duckdb

    match = re.match(r"(?is)\A(?:\s|--[^\n]*\n|/\*.*?\*/)*explain(?:\s+analyze\b|\s*\([^)]*\))?(?P<rest>.*)\Z", sql)
    rest = match["rest"] if match else ""
    inner = cursor.extract_statements(rest)
    if len(inner) != 1 or inner[0].type != duckdb.StatementType.SELECT:
        raise QueryError("only a SELECT can be explained", "Write EXPLAIN SELECT ...")
    return inner[0].query


def _parsed(cursor: DuckDBPyConnection, sql: str) -> Any:
    row = cursor.execute("SELECT json_serialize_sql($1)", [sql]).fetchall()[0]
    return _tree(row[0])


def _tree(text: str) -> Any:
    try:
        tree = json.loads(text)
    except RecursionError as error:
        raise QueryError("the query is nested too deeply to be checked", "Write it as a plain SELECT.") from error
    if tree.get("error"):
        message = tree.get("error_message", "it cannot be parsed")
        raise QueryError(f"the query cannot be checked: {message}", "Write it as a plain SELECT.")
    return tree


def _check_tree(tree: Any) -> None:
    """Walk the parsed statement; no recursion, so that nesting costs no stack."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            _check_node(node)
            todo += node.values()


def _check_parameters(tree: Any, params: dict[str, Any]) -> None:
    """The statement has exactly these parameters, by name."""
    used: set[str] = set()
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if node.get("class") == "PARAMETER":
                used.add(str(node.get("identifier")))
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    unknown, idle = sorted(used - params.keys()), sorted(params.keys() - used)
    if unknown:
        raise QueryError(f"the query uses ${unknown[0]}, and no parameter has that name", "Parameters are written $name.")
    if idle:
        raise QueryError(f"the query does not use its parameter {idle[0]}", f"Write ${idle[0]} in it, or drop the parameter.")


def _check_node(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if isinstance(kind, str) and "class" not in node and kind not in _NODES and not kind.endswith(_NODE_ENDINGS):
        what = kind.removesuffix("_NODE").removesuffix("_QUERY").replace("_", " ")
        raise QueryError(f"{what} is not allowed in a query", "A query reads the tables and views of the case only.")
    if kind == "TABLE_FUNCTION":
        name = str((node.get("function") or {}).get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise QueryError(f"{name}() is not allowed in a query", "A query reads the tables and views of the case only.")
    elif kind == "BASE_TABLE":
        name = str(node.get("table_name", ""))
        if not node.get("schema_name") and any(sign in name for sign in "/\\.*?:"):
            raise QueryError(f"{identifier(name)} is no table of the case", "A query cannot read files.")
    elif node.get("class") == "FUNCTION":
        name = str(node.get("function_name", "")).lower()
        if name in _SCALAR_FUNCTIONS_REFUSED:
            raise QueryError(f"{name}() is not allowed in a query", "A query reads the tables and views of the case only.")
