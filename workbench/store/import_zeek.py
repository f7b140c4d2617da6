"""What the head of a Zeek log in its text form says: separators, which log it is, its fields (its writers/ascii.zeek)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

_HEX: Final = re.compile(r"\\x([0-9a-fA-F]{2})")
#: Parts of a file's name that are no log's: conn_20240101, open_conn, conn.10:00:00-11:00:00, conn-2024.
_NAME: Final = re.compile(r"[a-z_]*[a-z]")


@dataclass(frozen=True, slots=True)
class ZeekHead:
    """fields: empty while none was read. path: which log, '' where nothing says so."""

    separator: str = "\t"
    empty: str = "(empty)"
    unset: str = "-"
    path: str = ""
    fields: tuple[str, ...] = ()

    def after(self, line: str) -> ZeekHead:
        """The head with one more of its lines, which begins with #."""
        word, _, rest = line.strip("\r\n").lstrip().partition(" ")
        if not rest:
            word, _, rest = line.strip("\r\n").lstrip().partition("\t")
        if "\t" in word:
            word, _, rest = line.strip("\r\n").lstrip().partition("\t")
        if word == "#separator":
            found = _HEX.sub(lambda m: chr(int(m[1], 16)), rest.strip(" ") if rest.strip() else "\t")
            return replace(self, separator=found or "\t")
        name, _, value = line.strip("\r\n").lstrip(" \t").partition(self.separator)
        if name == "#fields":
            return replace(self, fields=tuple(value.split(self.separator)))
        if name == "#path":
            return replace(self, path=value.strip())
        if name == "#empty_field":
            return replace(self, empty=value)
        if name == "#unset_field":
            return replace(self, unset=value)
        return self


def log_of_name(path: str, known: frozenset[str]) -> str:
    """Which of the known logs a file's name is of: the longest that its first part begins or ends with; '' for none."""
    found = _NAME.match(Path(path).name.lower())
    stem = found[0] if found else ""
    fits = [name for name in known if stem == name or stem.startswith(name + "_") or stem.endswith("_" + name)]
    return max(fits, key=len, default="")


def log_of_fields(fields: frozenset[str], marks: dict[str, frozenset[str]]) -> str:
    """Which log has such fields. marks: log -> fields that none of the others has all of."""
    return next((name for name, needed in marks.items() if needed <= fields), "")


#: Fields that tell a log where neither its head, its lines nor its file's name does.
MARKS: Final = {
    "conn": frozenset({"conn_state", "id.orig_h"}),
    "dns": frozenset({"query", "qtype"}),
    "http": frozenset({"method", "uri"}),
    "ssl": frozenset({"cipher", "id.orig_h"}),
    "kerberos": frozenset({"request_type", "client"}),
    "dce_rpc": frozenset({"endpoint", "operation"}),
    "smb_mapping": frozenset({"share_type"}),
    "ssh": frozenset({"kex_alg"}),
    "dhcp": frozenset({"mac", "assigned_addr"}),
}
