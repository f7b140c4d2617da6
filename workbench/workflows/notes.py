"""Notes on a case for whoever has no screen: written and listed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import UsageError
from workbench.store.case import CaseFolder

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.store.notebook import Note


def add_note(case: Path, text: str, flow: str | None = None) -> Note:
    """Write a note on a case, or on one of its flows.

    flow: its id, as `flows` prints it or as `source.number`. UsageError for one that is not in the case; what
    Notebook.add_note raises, and what opening the case does.
    """
    from workbench.store.notebook import Notebook

    folder = CaseFolder.open(case)
    if flow is None:
        return Notebook(folder.root).add_note("case", case_key(folder), folder.root.name, text)
    number = flow_number(flow)
    return Notebook(folder.root).add_note("flow", str(number), _flow_words(case, number), text)


def list_notes(case: Path, flow: str | None = None) -> tuple[pa.Table, str]:
    """Notes of a case, oldest first, or of one flow; and what is to be said besides, such as rows that were passed over.

    Raises what says why the notes cannot be read.
    """
    import pyarrow as pa

    from workbench.store.notebook import Notebook

    book = Notebook(CaseFolder.open(case).root)
    if (trouble := book.trouble) is not None:
        raise trouble
    found = book.notes() if flow is None else book.notes("flow", str(flow_number(flow)))
    columns: dict[str, pa.DataType] = {
        "note_id": pa.int64(),
        "ts": pa.timestamp("us"),
        "author": pa.utf8(),
        "kind": pa.utf8(),
        "key": pa.utf8(),
        "words": pa.utf8(),
        "text": pa.utf8(),
    }
    arrays = [pa.array([getattr(note, name) for note in found], kind) for name, kind in columns.items()]
    said = book.trouble  # known once they were read
    return pa.table(arrays, names=list(columns)), "" if said is None else f"{said.message}. {said.remedy}"


def case_key(folder: CaseFolder) -> str:
    """What names a case: the id that it was given when it was made."""
    return str(folder.describe()["id"])


def flow_number(text: str) -> int:
    """A flow id out of `1099511627777` or `1.1`. UsageError for anything else."""
    source, dot, number = text.strip().partition(".")
    parts = (source, number) if dot else (source,)
    if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise UsageError(f"{text} is no flow id", "Take one from the column flow_id of `workbench flows`.")
    found = int(source) << 40 | int(number) if dot else int(source)
    if found >= 1 << 63:
        raise UsageError(f"{text} is no flow id", "Take one from the column flow_id of `workbench flows`.")
    return found


def _flow_words(case: Path, number: int) -> str:
    from workbench.workflows.show import reading

    with reading(case) as reader:
        sql = "SELECT src_ip, src_port, dst_ip, dst_port, proto_name FROM flows WHERE flow_id = ?"
        rows = reader.query(sql, [number]).to_pylist()
    if not rows:
        raise UsageError(f"{case} has no flow {number}", "Take one from the column flow_id of `workbench flows`.")
    row = rows[0]
    return f"{row['src_ip']}:{row['src_port']} → {row['dst_ip']}:{row['dst_port']} {row['proto_name']}"
