"""A log's lines to chunks of rows: what its head says, objects over several lines, values in quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import BadInputError, SourceError
from workbench.sources.json_lines import Objects
from workbench.sources.lines import LineReader, Lines
from workbench.store.import_zeek import MARKS, ZeekHead, log_of_fields, log_of_name

if TYPE_CHECKING:
    from workbench.store.import_format import ImportFormat
    from workbench.store.importing import Given, ImportEngine
    from workbench.workflows.import_tally import Tally

#: Lines that a value in quotes may go over.
_QUOTED_LINES: Final = 100
_MANY_LINES: Final = 150_000
_BATCH: Final = 65_536


class Reading:
    """Iterate: what each chunk of a file gave. log: which of its format's logs it is, '' where lines tell or there is one."""

    def __init__(self, form: ImportFormat, engine: ImportEngine, path: str, tally: Tally) -> None:
        self.form = form
        self.log = ""
        self._engine = engine
        self._path = path
        self._tally = tally
        self._head = ZeekHead()
        self._place: dict[str, int] = {}
        self._over = False  # behind the line at which its values end

    def chunks(self, reader: LineReader) -> Iterator[Given]:
        """All of it. Raises SourceError behind the last good line."""
        kind = self.form.input
        first, objects = True, Objects()
        for lines in reader:
            self._bad(list(lines.too_long), "longer than 1 MiB")
            if first and kind == "zeek" and _first_text(lines).startswith(("{", "[")):
                kind = "json"
                self.log = self._json_log(_first_text(lines, "[, \t").rstrip(","))
            first = False
            for part in _pieces(lines):
                if kind == "json":
                    yield from self._objects(objects.feed(part), objects)
                elif kind == "zeek":
                    yield from self._zeek(part)
                elif kind == "csv":
                    yield from self._csv(part)
                else:
                    filled = _filled(part)
                    yield self._engine.lines(self.form, _table(filled))
        objects.finish()
        self._bad(objects.bad, "no JSON object")

    def _bad(self, numbers: list[int], why: str) -> None:
        """Lines that never come to the engine."""
        self._tally.lines += len(numbers)
        self._tally.add("bad_line", numbers, why)

    def parquet(self) -> Iterator[Given]:
        """Rows of a Parquet file, in pieces. SourceError where it is none or damaged, BadInputError for a missing column."""
        import pyarrow.parquet as pq

        at = 0
        try:
            file = pq.ParquetFile(self._path)
            missing = [name for name in self.form.fields if name not in file.schema_arrow.names]
            if missing:
                raise BadInputError(f"{self._path} has no column {', '.join(missing[:5])}", "Mend the mapping.")
            for batch in file.iter_batches(_BATCH, columns=list(self.form.fields)):
                n = pa.array(np.arange(at + 1, at + batch.num_rows + 1, dtype=np.int64))
                at += batch.num_rows
                yield self._engine.typed(self.form, pa.Table.from_batches([batch]).append_column("n", n))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self._path} cannot be read as Parquet: {error}", "Copy it again.") from error

    # -- JSON -------------------------------------------------------------------------------------

    def _objects(self, lines: Lines, objects: Objects) -> Iterator[Given]:
        self._bad(objects.bad, "no JSON object")
        objects.bad = []
        if len(lines.n):
            given = self._engine.objects(self.form, _table(lines), self.log)
            self._tally.add("bad_line", given.bad, "no JSON object")
            yield given

    def _json_log(self, first: str) -> str:
        """Which log a file of JSON is: '' where its lines say so."""
        known = frozenset(part.stream for part in self.form.parts)
        keys = self._engine.keys_of(first)
        if self.form.stream in keys:
            return ""
        return log_of_name(self._path, known) or log_of_fields(keys, MARKS) or _stem(self._path)

    # -- text with heads --------------------------------------------------------------------------

    def _zeek(self, lines: Lines) -> Iterator[Given]:
        """Lines of values between lines of heads, which may come again where logs were put together."""
        trimmed = pc.utf8_ltrim(lines.text, " \t\ufeff")
        heads = pc.starts_with(trimmed, "#").to_numpy(zero_copy_only=False)
        blank = (pc.utf8_length(pc.utf8_trim_whitespace(lines.text)).to_numpy(zero_copy_only=False)) == 0
        start = 0
        for at in [*np.flatnonzero(heads).tolist(), len(lines.n)]:
            if at > start:
                keep = np.flatnonzero(~blank[start:at]) + start
                yield from self._values(_some(lines, keep))
            if at < len(lines.n):
                self._head = self._head.after(lines.text[at].as_py())
                self._place = {name: n + 1 for n, name in enumerate(self._head.fields)}
            start = at + 1

    def _values(self, lines: Lines) -> Iterator[Given]:
        if not len(lines.n):
            return
        if not self._place:
            self._bad(lines.n.tolist(), "no #fields before it")
            return
        known = frozenset(part.stream for part in self.form.parts)
        told = self._head.path
        self.log = told if told in known else log_of_name(told or self._path, known)
        self.log = self.log or log_of_fields(frozenset(self._place), MARKS) or told or _stem(self._path)
        given = self._engine.split(self.form, _table(lines), self._place, self.log, self._head.separator)
        self._tally.add("bad_line", given.bad, f"not {len(self._place)} values")
        yield given

    def _csv(self, lines: Lines) -> Iterator[Given]:
        """Values by the names in the first line. A value in quotes may hold what separates, and ends of lines."""
        lines = _filled(lines)
        if not len(lines.n):
            return
        numbers, texts = _rejoined(lines)
        if self.form.until and not self._over:
            ends = [at for at, text in enumerate(texts) if text.strip() == self.form.until]
            self._over = bool(ends)
            numbers, texts = (numbers[: ends[0]], texts[: ends[0]]) if ends else (numbers, texts)
        elif self._over:
            return
        if not texts:
            return
        if not self._place:
            names = next(csv.reader([texts[0].lstrip("\ufeff")], delimiter=self.form.separator), [])
            if self.form.head and not {name.strip() for name in names} & set(self.form.fields):
                names = list(self.form.head)
            else:
                texts.pop(0)
                numbers.pop(0)
            self._place = {name.strip(): n + 1 for n, name in reversed(list(enumerate(names)))}
            self._width = len(names)
            missing = [name for name in self.form.fields if self.form.strict and name not in self._place]
            if missing:
                raise BadInputError(f"{self._path} has no column {', '.join(missing[:5])}", "Mend the mapping.")
        values = []
        for text in texts:
            try:
                values.append(next(csv.reader([text], delimiter=self.form.separator), []))
            except csv.Error:
                values.append([])
        rows = pa.table({"n": numbers, "text": pa.array(texts, pa.utf8()), "f": pa.array(values, pa.list_(pa.utf8()))})
        if rows.num_rows:
            given = self._engine.split(self.form, rows, self._place, self.log, self.form.separator)
            self._tally.add("bad_line", given.bad, f"not {self._width} values")
            yield given


def _rejoined(lines: Lines) -> tuple[list[int], list[str]]:
    """Lines with those that a value in quotes goes over as one, by the number of the first."""
    numbers: list[int] = []
    texts: list[str] = []
    waiting: list[str] = []
    for n, text in zip(lines.n.tolist(), lines.text.to_pylist(), strict=True):
        waiting.append(text)
        if len(waiting) == 1:
            numbers.append(n)
        if sum(part.count('"') for part in waiting) % 2 == 0 or len(waiting) >= _QUOTED_LINES:
            texts.append("".join(waiting).rstrip("\r\n"))
            waiting = []
    if waiting:
        texts.append("".join(waiting).rstrip("\r\n"))
    return numbers, texts


def _pieces(lines: Lines) -> Iterator[Lines]:
    """Lines in pieces that are small in rows, too."""
    for start in range(0, len(lines.n), _MANY_LINES):
        stop = start + _MANY_LINES
        yield Lines(lines.n[start:stop], lines.text[start:stop]) if len(lines.n) > _MANY_LINES else lines


def _some(lines: Lines, keep: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Lines:
    if len(keep) == len(lines.n):
        return lines
    return Lines(lines.n[keep], lines.text.take(pa.array(keep)))


def _filled(lines: Lines) -> Lines:
    """Those that hold more than blanks."""
    length = pc.utf8_length(pc.utf8_trim_whitespace(lines.text)).to_numpy(zero_copy_only=False)
    return _some(lines, np.flatnonzero(length > 0))


def _table(lines: Lines) -> pa.Table:
    return pa.table({"n": pa.array(lines.n), "text": lines.text})


def _first_text(lines: Lines, beside: str = "") -> str:
    """The first line that is more than blanks and what stands beside values, without those."""
    for text in lines.text[:1000].to_pylist():
        found = str(text).strip(" \t\r\n\ufeff").lstrip(beside)
        if found:
            return found
    return ""


def _stem(path: str) -> str:
    from pathlib import Path

    return Path(path).name.partition(".")[0][:40]
