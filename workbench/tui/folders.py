"""What lies in a folder, for a person who looks for a capture or a case: those first, then folders, then the rest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

#: What a thing in a folder is to this program. Told by name alone, but for cases: reading every file would take its time.
Kind = Literal["case", "capture", "folder", "file"]
_RANK: Final[dict[Kind, int]] = {"case": 0, "capture": 1, "folder": 2, "file": 3}

_CAPTURES: Final = (".pcap", ".pcapng", ".cap", ".snoop", ".erf")
_PACKED: Final = (".gz", ".zst", ".lz4", ".xz", ".bz2")
#: So many are listed; a folder of millions of files must not fill the memory.
MOST: Final = 2_000
#: So many are looked at.
_LOOKED_AT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder. name: as the file system has it, hostile. bytes: of a file."""

    name: str
    kind: Kind
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder. left_out: there are more. trouble: why it cannot be read, '' where it can."""

    folder: Path
    entries: tuple[Entry, ...] = ()
    left_out: bool = False
    trouble: str = ""


def listing(folder: Path, *, hidden: bool = False) -> Listing:
    """Look into a folder. hidden: also at what begins with a dot. Never raises for what a folder can be."""
    found: list[Entry] = []
    more = False
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= _LOOKED_AT:
                    more = True
                    break
                if hidden or not entry.name.startswith("."):
                    found.append(_entry(entry))
    except OSError as error:
        return Listing(folder, trouble=error.strerror or "it cannot be read")
    found.sort(key=lambda one: (_RANK[one.kind], one.name.lower(), one.name))
    return Listing(folder, tuple(found[:MOST]), more or len(found) > MOST)


def _entry(entry: os.DirEntry[str]) -> Entry:
    try:
        if entry.is_dir():
            return Entry(entry.name, "case" if Path(entry.path, "case.toml").is_file() else "folder")
        size = entry.stat().st_size if entry.is_file() else 0
    except OSError:  # a link to nowhere, or taken away meanwhile
        size = 0
    return Entry(entry.name, "capture" if is_capture(entry.name) else "file", size)


def is_capture(name: str) -> bool:
    """Whether a name looks like a capture's, rotated and compressed ones, too: `a.pcap`, `b.pcapng.zst`, `c.pcap3`."""
    plain = name.lower()
    for packed in _PACKED:
        plain = plain.removesuffix(packed)
    return plain.rstrip("0123456789").endswith(_CAPTURES)
