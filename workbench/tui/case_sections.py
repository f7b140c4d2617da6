"""What a case holds besides flows, section by section, as rows of text with words for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from workbench.tui import audit_rows, coverage, figures
from workbench.tui.data import Summary
from workbench.tui.looks import Look, text_cell

if TYPE_CHECKING:
    from workbench.audit.log import Entry
    from workbench.store.notebook import Bookmark, Note
    from workbench.tui.data import CaseData
    from workbench.workflows.trail import Standing

#: Lines of the audit log that are shown, the newest.
_AUDIT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its cells, everything about it in lines of words, and where Enter goes: kind and key, '' for nowhere.

    record: what Enter shows in full instead, by name.
    """

    cells: tuple[str, ...]
    words: tuple[str, ...]
    kind: str = ""
    key: str = ""
    name: str = ""
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The case at one moment, as the view shows it."""

    summary: Summary = field(default_factory=Summary)
    notes: Sequence[Note] = ()
    bookmarks: Sequence[Bookmark] = ()
    entries: Sequence[Entry] = ()
    facts: Sequence[tuple[str, str]] = ()
    trouble: str = ""
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the view: headings with their widths, lines, what stands where there are none."""

    name: str
    headings: tuple[tuple[str, int], ...]
    lines: Callable[[Held], list[Line]]
    empty: str


def held(data: CaseData, summary: Summary) -> Held:
    """Read all of it; called in a thread. The files of the case are read here, so this may raise what they do."""
    from workbench.records.columns import SCHEMA_VERSION
    from workbench.store.case import CaseFolder
    from workbench.workflows.trail import audit_entries, audit_standing

    facts = CaseFolder.open(data.path).describe()
    size = sum(file.stat().st_size for file in data.path.rglob("*") if file.is_file())
    told = [("folder", str(data.path)), *((name, str(value)) for name, value in facts.items())]
    told += [("this version writes", f"schema_version {SCHEMA_VERSION}"), ("on disk", figures.words_size(size))]
    told += [("flows", f"{summary.flows:,}")]
    book = data.notebook
    notes, marks, trouble = ([], [], None) if book is None else (book.notes(), book.bookmarks(), book.trouble)
    if trouble is None and book is not None and book.readable_only:
        told.append(("notes", "this case is read-only for you"))
    words = f"{trouble.message}. {trouble.remedy}" if trouble is not None else ""
    entries = audit_entries(data.path)[-_AUDIT:][::-1]
    return Held(summary, notes[::-1], marks[::-1], entries, told, words, audit_standing(data.path, check=False))


def _plain(value: object) -> str:
    """A number with its thousands, anything else as in a cell."""
    return f"{value:,}" if type(value) is int else text_cell(value)


def _sources(of: Held) -> list[Line]:
    lines = []
    for one in of.summary.sources:
        drops = one.get("dropped")
        cells = (
            str(one.get("path") or ""),
            str(one.get("kind") or ""),
            figures.count(one.get("packets")),
            figures.count(one.get("flows")),
            "unknown" if drops is None else figures.count(drops),
            str(one.get("state") or ""),
        )
        words = tuple(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in one.items() if value is not None)
        lines.append(Line(cells, words, "source", str(one["source_id"]), f"source {one.get('path')}"))
    return lines


def _ledger(of: Held) -> list[Line]:
    paths = {one["source_id"]: str(one.get("path") or "") for one in of.summary.sources}
    lines = []
    for one in of.summary.ledger:
        reason, path = str(one["reason"]), paths.get(one["source_id"], "")
        cells = (
            str(one["kind"]),
            reason.replace("_", " "),
            coverage.amount(reason, one["count"]) or "·",
            path.rpartition("/")[2],
        )
        words = [f"{reason.replace('_', ' ')}: {coverage.meaning(reason)}", path]
        words += [f"{name.replace('_', ' ')}: {one[name]}" for name in ("count", "detail", "first_frames") if one.get(name)]
        lines.append(Line(cells, tuple(words)))
    return lines


def _notes(of: Held) -> list[Line]:
    lines = []
    for note in of.notes:
        when = figures.moment(figures.from_us(note.ts))[:19]
        cells = (when, note.author[:80], note.kind, note.text[:300], note.words[:200])
        words = (f"note {note.note_id} on {note.words}", f"{when}Z {note.author}", *note.text[:8_000].split("\n")[:400])
        lines.append(Line(cells, words, note.kind, note.key, note.words))
    return lines


def _bookmarks(of: Held) -> list[Line]:
    lines = []
    for mark in of.bookmarks:
        when = figures.moment(figures.from_us(mark.ts))[:19]
        cells = (when, mark.author[:80], mark.kind, mark.words[:200])
        lines.append(Line(cells, (mark.words, f"{when}Z {mark.author}", "Enter goes there"), mark.kind, mark.key, mark.words))
    return lines


def _audit(of: Held) -> list[Line]:
    from workbench.audit.events import ACTIONS

    wrong = audit_rows.wrong_lines(of.standing)
    lines = []
    for entry in of.entries:
        about = ACTIONS.get(entry.action, "an action of another version")
        words = [f"{entry.seq}: {entry.action}: {about}"]
        words += [f"{entry.ts} {entry.actor}", *(f"{name}: {str(value)[:1000]}" for name, value in entry.detail.items())]
        record = audit_rows.whole(entry, about)
        lines.append(Line(audit_rows.cells_of(entry, wrong.pop(entry.seq, "")), (*words, f"hash {entry.hash}"), record=record))
    for line, what in sorted(wrong.items(), reverse=True):  # a line that can't be read stands above all others
        lines.insert(0, Line(audit_rows.broken(line, what), (f"line {line}: {what}",)))
    return lines


def _facts(of: Held) -> list[Line]:
    return [Line((name, value), (f"{name}: {value}",)) for name, value in of.facts]


SECTIONS: Final = (
    Section(
        "Sources",
        (("source", 30), ("kind", 8), ("packets", 8), ("flows", 7), ("drops", 8), ("state", 10)),
        _sources,
        "No source yet.",
    ),
    Section(
        "Ledger",
        (("kind", 10), ("what", 22), ("how many", 10), ("source", 28)),
        _ledger,
        "Nothing was left out, as far as is known.",
    ),
    Section(
        "Notes",
        (("when, UTC", 19), ("who", 10), ("on", 7), ("note", 24), ("what", 14)),
        _notes,
        "No notes.\nn writes one on what the cursor stands on, in every view.",
    ),
    Section(
        "Bookmarks",
        (("when, UTC", 19), ("who", 12), ("on", 8), ("what", 28)),
        _bookmarks,
        "No bookmarks.\nb sets one on what the cursor stands on, in every view.",
    ),
    Section(
        "Audit",
        audit_rows.HEADINGS,
        _audit,
        "No audit log.",
    ),
    Section("Case", (("what", 20), ("value", 50)), _facts, "Nothing is known of this case."),
)


def looks_of_section(section: Section) -> tuple[Look, ...]:
    """Its columns: text that came from anywhere, made visible."""
    out = []
    for n, (heading, width) in enumerate(section.headings):
        right = heading in ("packets", "flows", "drops", "how many", "line")
        out.append(
            Look(f"c{n}", heading, heading, width, max(width, 120 if heading in ("note", "why") else 60), right, "", text_cell)
        )
    return tuple(out)


def table_of_section(section: Section, lines: Sequence[Line]) -> pa.Table:
    """Its lines as the virtual table takes them."""
    columns = [pa.array([line.cells[n] for line in lines], pa.utf8()) for n in range(len(section.headings))]
    return pa.table(columns, names=[f"c{n}" for n in range(len(columns))])
