"""The engine that turns lines of a log into rows by a format's SQL. Nothing can be reached from it but the lines it is given.

Chunk by chunk: fields are taken out of the lines (table `chunk`), then each SELECT of the format runs over `rows`, those lines
that it is for. Rows that belong to a flow wait in the engine until all flows of the import are known (`joined`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.records.columns import BY_NAME
from workbench.store.engine import connect, identifier, literal, lock_down
from workbench.store.import_format import FormatError, ImportFormat, Part
from workbench.store.import_pairing import merge_sightings, pair_halves
from workbench.store.import_sql import ALWAYS, MACROS, cast, json_fields, mentioned, split_fields, spoilt, table_columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Rows that one piece of joined rows has at most.
_PIECE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Ready:
    """A part that was looked at: the SQL that runs, and which columns its bits of `spoilt` are of."""

    part: Part
    sql: str
    columns: tuple[str, ...]
    bits: tuple[str, ...]


@dataclass(slots=True)
class Given:
    """What a chunk gave. rows: of each part. bad: lines that are not what they should be. unused: stream -> lines without a part.
    n, h: numbers and hashes of the lines that were read, by number.
    """

    rows: list[tuple[Ready, pa.Table]] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    lines: int = 0
    unused: dict[str, int] = field(default_factory=dict)
    n: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    h: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))


class ImportEngine:
    """One import: any number of files, of one format each. Not for several threads."""

    def __init__(self, temp: Path) -> None:
        """temp: folder for what does not fit into memory; made and removed."""
        self._con: DuckDBPyConnection = connect(temp, threads=2)
        for macro in MACROS:
            self._con.execute(macro)
        self._con.execute("CREATE TABLE flow_keys (key UBIGINT, flow_id BIGINT)")
        self._con.execute("SET max_expression_depth = 200")
        lock_down(self._con, (temp,))
        self._ready: dict[tuple[str, tuple[Part, ...]], list[Ready]] = {}
        self._waiting: dict[str, tuple[str, ...]] = {}
        self._held: dict[str, frozenset[str]] = {}

    def close(self) -> None:
        """Give everything back."""
        self._con.close()

    # -- formats ----------------------------------------------------------------------------------

    def prepare(self, form: ImportFormat) -> list[Ready]:
        """Run every SELECT of a format on no lines; FormatError with what is wrong."""
        found = self._ready.get((form.id, form.parts))
        if found is None:
            self._empty(form)
            found = [self._prepared(part, paired=form.pair > 0) for part in form.parts]
            self._ready[form.id, form.parts] = found
        return found

    def _empty(self, form: ImportFormat) -> None:
        columns = "".join(f", {identifier(name)} VARCHAR" for name in form.fields if name != "n")
        self._con.execute(f"CREATE OR REPLACE TABLE chunk (n BIGINT, h UBIGINT, stream VARCHAR, line VARCHAR{columns})")

    def _prepared(self, part: Part, *, paired: bool) -> Ready:
        import duckdb

        where = f"WHERE stream = {literal(part.stream)}" if part.stream else ""
        inner = f"WITH rows AS (SELECT * FROM chunk {where}) SELECT * FROM ({part.sql}\n) AS q"
        try:
            found = self._con.execute(f"DESCRIBE {inner}").fetchall()
        except duckdb.Error as error:
            why = str(error).strip().splitlines()[0]
            raise FormatError(f"its SELECT into {part.table} is refused: {why}", "See docs/imports.md.", part.line) from error
        types = {row[0]: str(row[1]) for row in found}
        allowed = table_columns(part.table, paired=paired)
        for name in types:
            if name not in allowed:
                near = difflib.get_close_matches(name, allowed, n=1)
                hint = f"Did you mean {near[0]}? " if near else ""
                raise FormatError(f"{part.table} has no column {name:.80}", f"{hint}See docs/schema.md.", part.line)
        if types.get("n") not in {"BIGINT", "INTEGER"}:
            raise FormatError(f"its SELECT into {part.table} does not yield n", "Yield n, the number of the line.", part.line)
        tests = {name: spoilt(name, source, allowed[name]) for name, source in types.items()}
        bits = tuple(name for name, test in tests.items() if test is not None)[:62]
        mask = " + ".join(f"CASE WHEN {tests[name]} THEN {1 << n} ELSE 0 END" for n, name in enumerate(bits)) or "0"
        columns = ", ".join(f"{cast(name, source, allowed[name])} AS {identifier(name)}" for name, source in types.items())
        key = ", hash(CAST(key AS VARCHAR)) AS key_hash" if "key" in types else ""
        return Ready(part, f"SELECT {columns}{key}, CAST({mask} AS BIGINT) AS spoilt FROM ({inner})", tuple(types), bits)

    # -- lines ------------------------------------------------------------------------------------

    def split(self, form: ImportFormat, arriving: pa.Table, place: dict[str, int], stream: str, separator: str) -> Given:
        """Lines of values. place: field -> which value of a line, from 1. arriving: n, text and, where values are apart, f.

        stream: what all of them are; '' where a field says so.
        """
        wanted = self._wanted(form, stream)
        width = max(place.values(), default=0)
        f = "f" if "f" in arriving.column_names else f"string_split(rtrim(text, chr(13) || chr(10)), {literal(separator)})"
        columns = split_fields(place, wanted, form.nothing)
        taken = f"SELECT n, text, {f} AS f FROM arriving"
        made = f"SELECT n, hash(text) AS h, text AS line, len(f) <> {width} AS bad{columns} FROM ({taken})"
        return self._chunk(f"SELECT *, {self._stream_of(form, stream, wanted)} AS stream FROM ({made})", form, arriving)

    def objects(self, form: ImportFormat, arriving: pa.Table, stream: str) -> Given:
        """JSON objects, one a row of arriving (n, text)."""
        wanted = self._wanted(form, stream)
        paths, columns = json_fields(wanted, form.nothing)
        valid = "SELECT n, text, json_valid(text) AND ltrim(text)[1] = '{' AS good FROM arriving"
        if form.items:
            at = "$." + form.items
            has = f"good AND json_exists(text, {literal(at)})"
            many = f"CASE WHEN {has} THEN json_extract(text, {literal(at + '[*]')}) ELSE [text] END"
            valid = f"SELECT n, CAST(unnest({many}) AS VARCHAR) AS text, good FROM ({valid})"
        taken = f"SELECT n, text, good, CASE WHEN good THEN json_extract_string(text, {paths}) END AS f FROM ({valid})"
        made = f"SELECT n, hash(text) AS h, text AS line, NOT good AS bad{columns} FROM ({taken})"
        return self._chunk(f"SELECT *, {self._stream_of(form, stream, wanted)} AS stream FROM ({made})", form, arriving)

    def lines(self, form: ImportFormat, arriving: pa.Table) -> Given:
        """Lines as they are."""
        made = "SELECT n, hash(text) AS h, rtrim(text, chr(13) || chr(10)) AS line, false AS bad, '' AS stream FROM arriving"
        return self._chunk(made, form, arriving)

    def typed(self, form: ImportFormat, arriving: pa.Table) -> Given:
        """Rows of columns of any type, with n: all as text, as fields of lines are."""
        have = {name for name in arriving.column_names if name != "n"}
        texts = "".join(
            f", CAST({identifier(name)} AS VARCHAR) AS {identifier(name)}"
            if name in have
            else f", CAST(NULL AS VARCHAR) AS {identifier(name)}"
            for name in form.fields
        )
        listed = ", ".join(identifier(name) for name in form.fields)
        made = f"SELECT *, hash(({listed}, 0)) AS h FROM (SELECT n, '' AS line, false AS bad, '' AS stream{texts} FROM arriving)"
        return self._chunk(made, form, arriving)

    def keys_of(self, text: str) -> frozenset[str]:
        """The members of a JSON object; none where it is no such."""
        found = self._con.execute(
            "SELECT CASE WHEN json_valid(t) AND ltrim(t)[1] = '{' THEN json_keys(t) ELSE [] END FROM (SELECT ? AS t)", [text]
        ).fetchall()
        return frozenset(found[0][0])

    def _wanted(self, form: ImportFormat, stream: str) -> tuple[str, ...]:
        """Fields that the parts for that stream name, all where lines of several streams are mixed."""
        sql = "\n".join(part.sql for part in form.parts if not stream or part.stream in {"", stream})
        return tuple(name for name in form.fields if name == form.stream or mentioned((name,), sql))

    def _stream_of(self, form: ImportFormat, stream: str, wanted: tuple[str, ...]) -> str:
        if stream or form.stream not in wanted:
            return literal(stream)
        return f"coalesce({identifier(form.stream)}, '')"

    def _chunk(self, sql: str, form: ImportFormat, arriving: pa.Table) -> Given:
        con, given = self._con, Given()
        con.register("arriving", arriving)
        try:
            con.execute(f"CREATE OR REPLACE TABLE chunk AS {sql}")
        finally:
            con.unregister("arriving")
        given.bad = [row[0] for row in con.execute("SELECT n FROM chunk WHERE bad ORDER BY n").fetchall()]
        if given.bad:
            con.execute("DELETE FROM chunk WHERE bad")
        streams = dict(con.execute("SELECT stream, count(*) FROM chunk GROUP BY stream").fetchall())
        given.lines = sum(streams.values()) + len(given.bad)
        every = any(not part.stream for part in form.parts)
        told = {part.stream for part in form.parts}
        given.unused = {name: count for name, count in streams.items() if not every and name not in told}
        found = con.sql("SELECT n, h FROM chunk ORDER BY n").to_arrow_table()
        given.n, given.h = found.column("n").to_numpy(), found.column("h").to_numpy()
        for ready in self._ready[form.id, form.parts]:
            if not ready.part.stream or ready.part.stream in streams:
                given.rows.append((ready, con.sql(ready.sql).to_arrow_table()))
        return given

    # -- rows of flows ----------------------------------------------------------------------------

    def wait(self, table: str, rows: pa.Table) -> None:
        """Keep rows that belong to flows. rows: source_id, n, key_hash and columns of `table_columns`, typed."""
        name, con = identifier(f"waiting_{table}"), self._con
        if table not in self._waiting:
            columns = ", ".join(f"{identifier(c)} {kind}" for c, kind in _kept(table).items())
            con.execute(f"CREATE TABLE {name} ({columns})")
            self._waiting[table] = tuple(_kept(table))
        con.register("arriving", rows)
        try:
            con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM arriving")
        finally:
            con.unregister("arriving")

    def hold(self, table: str, rows: pa.Table) -> None:
        """Keep rows of flows or claims that are told in pieces. rows: source_id, n and what the SELECT gave, typed."""
        name, con = f"held_{table}", self._con
        con.register("arriving", rows)
        try:
            if table not in self._held:
                con.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")
                self._held[table] = frozenset(rows.column_names)
                return
            for column in sorted(set(rows.column_names) - self._held[table]):
                kind = con.execute(f"SELECT typeof({identifier(column)}) FROM arriving LIMIT 1").fetchone()
                con.execute(f"ALTER TABLE {name} ADD COLUMN {identifier(column)} {kind[0] if kind else 'VARCHAR'}")
                self._held[table] |= {column}
            con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM arriving")
        finally:
            con.unregister("arriving")

    def paired(self, gap: float) -> Iterator[pa.Table]:
        """The flows that held rows make together, in pieces: columns of `flows`, source_id, n, keys, halves, points."""
        if "flows" in self._held:
            table = pair_halves(self._con, "held_flows", self._held.pop("flows"), gap)
            yield from self._pieces(table, "*")
            self._con.execute(f"DROP TABLE {table}")

    def sightings(self) -> Iterator[pa.Table]:
        """The claims that held sightings make together, in pieces: columns of `claims`, source_id, n."""
        if "claims" in self._held:
            table = merge_sightings(self._con, "held_claims", self._held.pop("claims"))
            yield from self._pieces(table, "*")
            self._con.execute(f"DROP TABLE {table}")

    def add_keys(self, rows: pa.Table) -> None:
        """Flows that rows may belong to: key, flow_id."""
        self._con.register("arriving", rows)
        try:
            self._con.execute("INSERT INTO flow_keys SELECT key, flow_id FROM arriving")
        finally:
            self._con.unregister("arriving")

    def implied(self) -> Iterator[pa.Table]:
        """Flows that nobody told but by what was said in them: source_id, key_hash and columns of `flows`, each once."""
        columns = [name for name in table_columns("flows") if name not in ALWAYS and name not in {"ts", "ts_end", "duration"}]
        parts = []
        for table in self._waiting:
            have = set(self._waiting[table])
            told = ", ".join(f"{identifier('flow_' + c)} AS {identifier(c)}" for c in columns if f"flow_{c}" in have)
            at = "coalesce(flow_ts, ts)" if "ts" in have else "flow_ts"
            waiting = identifier(f"waiting_{table}")
            parts.append(f"SELECT key_hash, source_id, {at} AS ts, flow_ts_end AS ts_end, {told} FROM {waiting}")
        if not parts:
            return
        firsts = ", ".join(f"arg_min({identifier(c)}, ts) AS {identifier(c)}" for c in columns)
        sql = f"""SELECT key_hash, arg_min(source_id, ts) AS source_id, min(ts) AS ts,
            max(greatest(ts, coalesce(ts_end, ts))) AS ts_end, {firsts} FROM ({" UNION ALL BY NAME ".join(parts)})
            WHERE key_hash NOT IN (SELECT key FROM flow_keys) AND ts IS NOT NULL AND src_ip IS NOT NULL AND dst_ip IS NOT NULL
            GROUP BY key_hash"""
        self._con.execute(f"CREATE OR REPLACE TABLE implied AS {sql}")
        yield from self._pieces("implied", "*")
        self._con.execute("DROP TABLE implied")

    def joined(self) -> Iterator[tuple[str, pa.Table]]:
        """What waited, with the flow_id of its flow (null where there is none), source_id and n: by table, in pieces."""
        for table in self._waiting:
            names = [c.name for c in BY_NAME[table].columns if c.name not in {"flow_id", "source_id"}]
            listed = ", ".join(f"w.{identifier(c)}" for c in names if c in self._waiting[table])
            waiting = identifier(f"waiting_{table}")
            sql = f"SELECT k.flow_id, w.source_id, w.n, {listed} FROM {waiting} w LEFT JOIN flow_keys k ON w.key_hash = k.key"
            self._con.execute(f"CREATE OR REPLACE TABLE together AS {sql}")
            for piece in self._pieces("together", "*"):
                yield table, piece
            self._con.execute(f"DROP TABLE {waiting}; DROP TABLE together")
        self._waiting.clear()

    def _pieces(self, table: str, columns: str) -> Iterator[pa.Table]:
        reader = self._con.cursor().sql(f"SELECT {columns} FROM {table}").to_arrow_reader(_PIECE)
        for batch in reader:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


def _kept(table: str) -> dict[str, str]:
    """Columns of rows that wait, with their types."""
    kept = {name: kind for name, kind in table_columns(table).items() if name not in {"key", "reject"}}
    return {**kept, "key_hash": "UBIGINT", "source_id": "BIGINT"}
