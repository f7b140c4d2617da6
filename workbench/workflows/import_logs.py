"""Logs of other programs into a case: `workbench import FORMAT`, and what `index` and `open` find among captures.

One engine and one memory of what came before serve all files of an import, so that what is said in one log finds its flow in
another. Every file is a source. Nothing is decoded in other processes: the engine that reads lines has cores of its own.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench import __version__
from workbench.audit.vouch import vouch
from workbench.errors import BadInputError, UsageError, WorkbenchError
from workbench.records.columns import BY_NAME
from workbench.records.reasons import LedgerLine
from workbench.records.visible import path_text, visible
from workbench.settings import load_settings
from workbench.sources.bytes import open_bytes
from workbench.sources.lines import LineReader
from workbench.store.import_format import ImportFormat, load_formats
from workbench.store.importing import Given, ImportEngine, Ready
from workbench.workflows.import_reading import Reading
from workbench.workflows.import_tally import Tally
from workbench.workflows.kernels import prepare_kernel_cache
from workbench.workflows.requests import IndexRequest, IndexResult, Progress, ProgressSink
from workbench.workflows.seen_lines import Seen

if TYPE_CHECKING:
    from workbench.audit.log import AuditLog
    from workbench.store.import_rows import RowMaker
    from workbench.store.writer import CaseWriter

_TELL_EVERY: Final = 0.1
#: What a format rejects with this is told by another line: it is no loss.
OTHERS: Final = "-"


@dataclass(slots=True)
class _File:
    """One file of an import."""

    path: str
    sensor: str
    form: ImportFormat
    row: dict[str, Any] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    lines: list[LedgerLine] = field(default_factory=list)
    flows: int = 0
    raw: int = 0
    error: WorkbenchError | None = None
    unused: dict[str, int] = field(default_factory=dict)
    cancelled: bool = False


def import_logs(
    request: IndexRequest,
    progress: ProgressSink | None = None,
    cancel: threading.Event | None = None,
) -> IndexResult:
    """Import the files that a request names as logs of its format; the case stays usable whatever happens on the way.

    progress, cancel: as of `index_sources`. Raises MissingPathError, UsageError, FormatError where the format's file is wrong,
    CaseBusyError, DiskFullError. Files that yield nothing are no exception: they are in `refused`.
    """
    from workbench.audit.log import AuditLog
    from workbench.sources.expand import expand
    from workbench.store.writer import CaseWriter

    started = time.monotonic()
    form = _form(request)
    specs = expand(request.paths, "never", recognise=None if form is None else form.recognise)
    if not specs:
        raise UsageError(f"nothing to import: no {request.form} was found under the given paths", "Name a file.")
    files = [(spec.paths[0], spec.sensor, form or _own(spec.paths[0])) for spec in specs]
    new = not (request.case / "case.toml").exists()
    with CaseWriter(request.case) as writer:
        audit = AuditLog(request.case)
        if new:
            audit.append("case_created", version=__version__)
        run = LogImport(writer, request, progress, cancel or threading.Event())
        run.take(files)
        run.log(audit)
    if run.files and not run.result.cancelled:
        from workbench.workflows.naming import name_quietly

        if why := name_quietly(request.case, cancel=cancel or threading.Event()):
            run.result.notes.append(why)
    _sign(request.case)
    return replace(run.result, seconds=time.monotonic() - started)


def _form(request: IndexRequest) -> ImportFormat | None:
    """The format that is asked for; None for Parquet, of which each file has its own."""
    if request.form in ("csv", "parquet"):
        from workbench.store.import_mapping import load_mapping

        if request.mapping is not None:
            return load_mapping(request.mapping, "csv" if request.form == "csv" else "parquet")
        if request.form == "csv":
            raise UsageError("nothing says which column of the CSV is which", "Name a mapping with --mapping FILE.")
        return None
    return load_formats(request.queries).find(request.form or "")


def _own(path: str) -> ImportFormat:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from workbench.store.import_mapping import own_columns

    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{path} cannot be read as Parquet: {error}", "Copy it again.") from error
    return own_columns(names, path)


def _sign(case: Path) -> None:
    vouch(case, load_settings().audit)


class LogImport:
    """Logs into a case that is open for writing. result: what came of it; files: by source_id."""

    def __init__(
        self,
        writer: CaseWriter,
        request: IndexRequest,
        progress: ProgressSink | None,
        cancel: threading.Event,
        stored: Callable[[], object] | None = None,
    ) -> None:
        self.writer = writer
        self.request = request
        self.result = IndexResult(request.case, [], [], 0.0)
        self.files: dict[int, _File] = {}
        self._progress = progress
        self._cancel = cancel
        self._stored = stored
        self._lines = Seen()
        self._keys = Seen()
        self._gap = 0.0
        self._told = 0.0
        self._total = 0

    def take(self, files: list[tuple[str, str, ImportFormat]]) -> None:
        """Import these: path, sensor, format each. Flows come first where a name tells which files have them."""
        from workbench.store.import_rows import RowMaker

        prepare_kernel_cache()
        self._maker: RowMaker = RowMaker(self.writer.case.hash_key())
        self._engine = ImportEngine(self.writer.case.temp_for_process())
        try:
            for form in {id(form): form for _, _, form in files}.values():
                self._engine.prepare(form)
            todo = [_File(path, sensor, form) for path, sensor, form in sorted(files, key=_flows_first)]
            todo = [one for one in todo if not self._is_known(one)]
            self._total = sum(_size(one.path) for one in todo)
            for one in todo:
                self._add(one)
            for one in list(self.files.values()):
                self._read(one)
            self._join()
        finally:
            self._engine.close()
        self._settle()

    def log(self, audit: AuditLog) -> None:
        """What was imported, into the audit log."""
        for one in self.files.values():
            row = one.row
            if row["state"] == "refused":
                audit.append("source_refused", path=row["path"], why=row["detail"])
            else:
                shown = ("path", "sha256", "packets", "flows", "state", "key_scope", "bpf")
                audit.append("source_indexed", **{name: row.get(name) for name in shown})

    # -- sources ----------------------------------------------------------------------------------

    def _is_known(self, one: _File) -> bool:
        """Whether the case has this very file, or one of the same content."""
        if one.path == "-":
            return False
        try:
            stat = Path(one.path).stat()
        except OSError:
            return False
        row = self.writer.known_source(path_text(one.path), stat.st_size, stat.st_mtime_ns)
        row = row or self.writer.known_content(stat.st_size, lambda: _digest(one.path))
        if row is None:
            return False
        self.result.skipped.append(one.path)
        if row["source_id"] not in {known["source_id"] for known in self.result.sources}:
            self.result.sources.append(row)
        return True

    def _add(self, one: _File) -> None:
        source_id = self.writer.next_source_id()
        one.row = {
            "source_id": source_id,
            "kind": one.form.id,
            "path": path_text(one.path),
            "sensor": path_text(one.sensor),
            "packets": 0,
            "flows": 0,
            "state": "indexing",
        }
        self.files[source_id] = one
        self.writer.add_source(one.row)

    def _read(self, one: _File) -> None:
        """Its lines into rows, as far as they can be read."""
        if self._cancel.is_set():
            one.cancelled = True
            return
        digest = hashlib.sha256()
        reader = None
        try:
            if one.form.input == "parquet":
                self._read_parquet(one)
                return
            reader = open_bytes(one.path, digest.update if self.request.hash else None)
            plain = self.request.hash and reader.plain  # a compressed file is hashed as it lies on disk
            lines = LineReader(reader, on_bytes=digest.update if plain else None)
            reading = Reading(one.form, self._engine, one.path, one.tally)
            for given in reading.chunks(lines):
                self._take(one, given)
                one.raw = reader.raw_position
                self._tell(one)
                if self._cancel.is_set():
                    one.cancelled = True
                    break
            one.row["bytes"] = reader.raw_position
            if self.request.hash and not one.cancelled:
                one.row["sha256"] = digest.hexdigest()
        except WorkbenchError as error:
            one.error = error
        finally:
            if reader is not None:
                reader.close()

    def _read_parquet(self, one: _File) -> None:
        for given in Reading(one.form, self._engine, one.path, one.tally).parquet():
            self._take(one, given)
            self._tell(one)
            if self._cancel.is_set():
                one.cancelled = True
                return
        one.row["bytes"] = one.raw = _size(one.path)
        one.row["sha256"] = _digest(one.path) if self.request.hash else None

    # -- rows -------------------------------------------------------------------------------------

    def _take(self, one: _File, given: Given) -> None:
        """Rows of a chunk into the case, or to wait for their flows."""
        tally = one.tally
        tally.lines += given.lines
        for stream, count in given.unused.items():
            one.unused[stream] = one.unused.get(stream, 0) + count
        fresh = self._lines.fresh(given.h) if not one.form.items else np.ones(len(given.h), np.bool_)
        again = given.n[~fresh]
        if not one.form.items:
            tally.add("duplicate_line", again.tolist())
        used = np.zeros(len(given.n), np.bool_)
        for ready, rows in given.rows:
            at = np.searchsorted(given.n, rows.column("n").to_numpy())
            used[at] = True
            if len(again):
                keep = fresh[at]
                rows, at = rows.filter(pa.array(keep)), at[keep]
            rows = self._checked(one, ready, rows)
            if one.form.pair and ready.part.table in {"flows", "claims"}:
                self._hold(one, ready.part.table, rows)
            elif ready.part.table == "flows":
                self._flows(one, rows)
            else:
                self._others(one, ready.part.table, rows)
        idle = given.n[~used & fresh]
        rest = len(idle) - sum(given.unused.values())
        if rest > 0:
            tally.add("lines_unused", idle.tolist() if not given.unused else [], "of kinds that are not kept", rest)
        self.writer.commit()

    def _checked(self, one: _File, ready: Ready, rows: pa.Table) -> pa.Table:
        """Without rows that the format refuses; values that could not be read are counted."""
        spoilt = rows.column("spoilt").to_numpy()
        for bit, name in enumerate(ready.bits):
            hit = np.flatnonzero(spoilt & (1 << bit))
            if len(hit):
                one.tally.add("values_unread", rows.column("n").take(pa.array(hit)).to_pylist(), name)
        rows = rows.drop_columns(["spoilt"])
        if "reject" in rows.column_names:
            why = rows.column("reject")
            bad = pc.is_valid(why)
            if pc.any(bad).as_py():
                refused = rows.filter(pc.and_(bad, pc.not_equal(why, OTHERS)))
                one.tally.rejected(refused.column("n").to_pylist(), refused.column("reject").to_pylist())
                rows = rows.filter(pc.invert(bad))
            rows = rows.drop_columns(["reject"])
        return rows

    def _flows(self, one: _File, rows: pa.Table) -> None:
        """Rows of `flows`; those told before by the same key are left out."""
        if "key_hash" in rows.column_names:
            keyed = pc.is_valid(rows.column("key")).to_numpy()
            hashes = rows.column("key_hash").to_numpy().astype(np.uint64, copy=False)
            new = np.ones(rows.num_rows, np.bool_)
            new[keyed] = self._keys.fresh(hashes[keyed])
            one.tally.add("duplicate_line", rows.column("n").filter(pa.array(~new)).to_pylist(), "flows told again")
            rows = rows.filter(pa.array(new)) if not new.all() else rows
        if rows.num_rows:
            self._lacking(one, rows, self._store_flows(one, rows))

    @staticmethod
    def _lacking(one: _File, rows: pa.Table, made: Any) -> None:
        """Count the rows that are no flows."""
        for what in ("time", "address", "protocol"):
            lacking = [at for at, lack in made.lacks.items() if lack == what]
            numbers = rows.column("n").take(pa.array(lacking, pa.int64())).to_pylist()
            one.tally.add("not_a_flow", numbers, f"no {what}")

    def _store_flows(self, one: _File, rows: pa.Table) -> Any:
        from workbench.store.import_flows import flow_rows

        made = flow_rows(rows, one.row["source_id"], one.flows, path_text(one.sensor))
        if "keys" in rows.column_names:
            keys = rows.column("keys").combine_chunks().take(pa.array(made.kept))
            ids = made.flows.column("flow_id").take(pc.list_parent_indices(keys))
            self._engine.add_keys(pa.table({"key": pc.list_flatten(keys), "flow_id": ids}))
        elif "key_hash" in rows.column_names:
            keys = rows.column("key_hash").take(pa.array(made.kept))
            self._engine.add_keys(pa.table({"key": keys, "flow_id": made.flows.column("flow_id")}))
        one.flows += made.flows.num_rows
        one.tally.saw("flows", made.flows)
        self.writer.append("flows", made.flows)
        return made

    def _hold(self, one: _File, table: str, rows: pa.Table) -> None:
        """Keep pieces until all are there: several files may tell of one flow."""
        if rows.num_rows:
            source = pa.array([one.row["source_id"]] * rows.num_rows, pa.int64())
            self._engine.hold(table, rows.append_column("source_id", source))
            self._gap = max(self._gap, one.form.pair)

    def _pair(self) -> None:
        """Flows and claims of what was held."""
        for piece in self._engine.paired(self._gap):
            for one, rows in self._by_file(piece):
                self._lacking(one, rows, self._store_flows(one, rows.drop_columns(["halves", "points"])))
                merged = pc.sum(pc.subtract(rows.column("halves"), 1)).as_py()
                twice = pc.sum(pc.greater(rows.column("points"), 1)).as_py()
                one.tally.add("records_merged", (), "", merged)
                one.tally.add("observed_twice", (), "", twice)
        for piece in self._engine.sightings():
            for one, rows in self._by_file(piece):
                self._store(one, "claims", rows, source_id=one.row["source_id"])

    def _by_file(self, piece: pa.Table) -> Iterator[tuple[_File, pa.Table]]:
        for source_id in pc.unique(piece.column("source_id")).to_pylist():
            rows = piece.filter(pc.equal(piece.column("source_id"), source_id)).drop_columns(["source_id"])
            yield self.files[source_id], rows

    def _others(self, one: _File, table: str, rows: pa.Table) -> None:
        """Rows of other tables: at once, or when all flows are known."""
        if not rows.num_rows:
            return
        source_id = one.row["source_id"]
        if "flow_id" in BY_NAME[table].names:
            if "key_hash" not in rows.column_names:
                rows = rows.append_column("key_hash", pa.nulls(rows.num_rows, pa.uint64()))
            own = (rows.column("n").to_numpy().astype(np.uint64) << np.uint64(20)) ^ np.uint64(
                source_id * 0x9E3779B97F4A7C15 % 2**64
            )
            there = pc.is_valid(rows.column("key")) if "key" in rows.column_names else pa.array([False] * rows.num_rows)
            keys = pc.if_else(there, rows.column("key_hash"), pa.array(own))
            rows = rows.set_column(rows.column_names.index("key_hash"), "key_hash", keys)
            rows = rows.append_column("source_id", pa.array([source_id] * rows.num_rows, pa.int64()))
            self._engine.wait(table, rows.drop_columns([c for c in ("key",) if c in rows.column_names]))
            return
        if "key_hash" in rows.column_names:
            keyed = pc.is_valid(rows.column("key")).to_numpy()
            new = np.ones(rows.num_rows, np.bool_)
            new[keyed] = self._keys.fresh(rows.column("key_hash").to_numpy().astype(np.uint64, copy=False)[keyed])
            one.tally.add("duplicate_line", rows.column("n").filter(pa.array(~new)).to_pylist(), f"{table} told again")
            rows = rows.filter(pa.array(new))
        if rows.num_rows:
            self._store(one, table, rows, source_id=source_id)

    def _store(self, one: _File, table: str, rows: pa.Table, **constants: Any) -> None:
        made, _, lacks = self._maker.rows(table, rows, **constants)
        if lacks:
            numbers = rows.column("n").to_pylist()
            reason = "not_a_claim" if table == "claims" else "bad_line"
            for name in sorted(set(lacks.values())):
                one.tally.add(reason, [numbers[at] for at, lack in lacks.items() if lack == name], f"no {table}.{name}")
        one.tally.saw(table, made)
        self.writer.append(table, made)

    def _join(self) -> None:
        """What belongs to flows goes to them; a flow that nobody told is made of what was said in it."""
        self._pair()
        for piece in self._engine.implied():
            for source_id in pc.unique(piece.column("source_id")).to_pylist():
                one = self.files[source_id]
                rows = piece.filter(pc.equal(piece.column("source_id"), source_id)).drop_columns(["source_id"])
                before = one.flows
                self._store_flows(one, rows)
                one.tally.add("flows_implied", (), "", one.flows - before)
        for table, piece in self._engine.joined():
            for source_id in pc.unique(piece.column("source_id")).to_pylist():
                one = self.files[source_id]
                rows = piece.filter(pc.equal(piece.column("source_id"), source_id))
                lost = rows.filter(pc.is_null(rows.column("flow_id")))
                one.tally.add("not_a_flow", lost.column("n").to_pylist(), f"no flow of that {table}")
                rows = rows.filter(pc.is_valid(rows.column("flow_id")))
                if rows.num_rows:
                    self._store(one, table, rows)

    # -- the end ----------------------------------------------------------------------------------

    def _settle(self) -> None:
        """States, ledger and files of every source."""
        yields = any(one.tally.rows.total() for one in self.files.values())
        for source_id, one in self.files.items():
            self._describe(one, yields=yields)
            self.writer.add_files([_file_row(source_id, one)])
            self.writer.add_ledger(source_id, one.lines)
            self.writer.update_source(source_id, **{k: v for k, v in one.row.items() if k != "source_id"})
            self.result.sources.append(one.row)
            self.result.ledger.extend(line.row(source_id) for line in one.lines)
        self.result = replace(self.result, cancelled=self._cancel.is_set())
        self.writer.commit()

    def _describe(self, one: _File, *, yields: bool) -> None:
        tally, row = one.tally, one.row
        for stream, count in sorted(one.unused.items()):
            tally.add("lines_unused", (), visible(stream)[:60] or "of no known kind", count)
        one.lines = tally.ledger()
        if one.cancelled:
            one.lines.append(LedgerLine("cancelled", max(0, _size(one.path) - one.raw), (), "the rest was not read"))
        if one.error is not None and tally.lines:
            one.lines.append(LedgerLine("damaged", 0, (), one.error.message))
        row |= {"packets": tally.packets, "flows": one.flows, "ts_first": tally.first, "ts_last": tally.last}
        row["state"], row["detail"] = "ok", None
        if not tally.rows.total() and tally.count("duplicate_line") == tally.lines > 0:
            row["detail"] = "all its lines came in other files of this import"
        elif not tally.rows.total() and not one.cancelled:
            row["state"], row["detail"] = "refused", self._why(one)
            if one.error is not None or not (one.unused and yields):  # a log for which there is no table is no bad input
                error = one.error or BadInputError(f"{one.path}: {row['detail']}", "Check its format, and how it was copied.")
                self.result.refused.append(error)
        elif one.cancelled or one.error is not None or tally.count("bad_line"):
            row["state"] = "partial"
            bad = tally.count("bad_line")
            row["detail"] = "cancelled" if one.cancelled else one.error.message if one.error else f"{bad} lines could not be read"

    def _why(self, one: _File) -> str:
        if one.error is not None:
            return one.error.message
        if one.unused:
            names = ", ".join(visible(name)[:60] or "unknown" for name in sorted(one.unused)[:5])
            return f"a case has no table for its lines: {names}"
        if not one.tally.lines and not one.tally.count("bad_line"):
            return "it holds no lines of values"
        return f"none of its lines can be read as {one.form.title}"

    def _tell(self, one: _File) -> None:
        now = time.monotonic()
        if self._stored is not None:
            self._stored()
        if self._progress is None or now - self._told < _TELL_EVERY:
            return
        self._told = now
        files = self.files.values()
        packets, flows = sum(f.tally.packets for f in files), sum(f.flows for f in files)
        self._progress(Progress(sum(f.raw for f in files), self._total or None, packets, flows, one.path, "read"))


def _flows_first(file: tuple[str, str, ImportFormat]) -> tuple[int, int]:
    """Files with the finished flows first, then those with unfinished ones: of two tellings the first is kept."""
    name = Path(file[0]).name
    return (0 if name.startswith("conn.") else 1 if "conn" in name else 2, 1 if name.startswith("open") else 0)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _digest(path: str) -> str:
    """SHA-256 of a file as it lies on disk; '' where it can't be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _file_row(source_id: int, one: _File) -> dict[str, Any]:
    row = {"source_id": source_id, "n": 0, "path": path_text(one.path), "sha256": one.row.get("sha256")}
    try:
        mtime: int | None = Path(one.path).stat().st_mtime_ns
    except OSError:
        mtime = None
    return {**row, "bytes": one.row.get("bytes"), "first_offset": 0, "mtime_ns": mtime}
