"""Formats made of a mapping, for CSV and Parquet of any kind: which of a file's columns is which column of a table.

A mapping is YAML: `into` (a table, `flows` unless said otherwise), `columns` (ours: theirs), `fixed` (ours: a value),
`separator`, `nothing`. Parquet that has our own columns needs none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from workbench.errors import BadInputError, MissingPathError
from workbench.records.columns import BY_NAME
from workbench.records.header import HeaderError, read_header
from workbench.store.engine import identifier, literal
from workbench.store.import_format import TARGETS, FormatError, ImportFormat, Input, Part, check_fields
from workbench.store.import_sql import table_columns

_KEYS: Final = ("into", "columns", "fixed", "separator", "nothing")
_LARGEST: Final = 65_536


def load_mapping(path: Path, kind: Input) -> ImportFormat:
    """The format that a mapping describes. MissingPathError; FormatError with the line and, of a column, its name."""
    try:
        text = path.read_bytes()[: _LARGEST + 1].decode("utf-8-sig")
    except OSError as error:
        raise MissingPathError(f"{path} cannot be read: {error.strerror}", "Name a file with --mapping.") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8", "Save it as UTF-8.") from error
    try:
        header = read_header(text, 1)
    except HeaderError as error:
        raise FormatError(f"{path}: {error.message}".replace("its header", "it"), error.remedy, error.line) from error
    for key in header.values:
        if key not in _KEYS:
            raise FormatError(f"{path}: {key} is no key of a mapping", f"Keys are {', '.join(_KEYS)}.", header.lines[key])
    into = header.values.get("into", "flows")
    columns, fixed = _texts(header.values, "columns"), _texts(header.values, "fixed")
    if into not in TARGETS:
        raise FormatError(f"{path}: {into} is no table that an import can fill", f"Tables: {', '.join(TARGETS)}.")
    for name in (*columns, *fixed):
        if name not in table_columns(into) or name == "n":
            raise FormatError(f"{path}: {into} has no column {name}", "See docs/schema.md.", header.lines.get("columns", 0))
    if not columns:
        raise FormatError(f"{path}: it maps no column", "Write columns: {src_ip: their name, ...}.")
    taken = [f"{identifier(theirs)} AS {identifier(ours)}" for ours, theirs in columns.items()]
    taken += [f"{literal(value)} AS {identifier(ours)}" for ours, value in fixed.items()]
    nothing = header.values.get("nothing", [])
    words = tuple(str(one) for one in nothing) if isinstance(nothing, list) else (str(nothing),)
    form = _format(kind, into, ", ".join(taken), tuple(dict.fromkeys(columns.values())), path)
    return _with(form, nothing=("", *words), separator=str(header.values.get("separator", ",")))


def own_columns(names: list[str], path: str) -> ImportFormat:
    """The format of a Parquet file that has columns of ours. BadInputError where they are of none of our tables."""
    fits = [t for t in TARGETS if {c.name for c in BY_NAME[t].columns if not c.null and c.name != "source_id"} <= set(names)]
    if not fits:
        raise BadInputError(f"{path}: its columns are those of none of our tables", "Name them with --mapping FILE.")
    into = max(fits, key=lambda t: len(set(BY_NAME[t].names) & set(names)))
    given = [name for name in table_columns(into) if name in names and name != "n"]
    taken = ", ".join(f"{identifier(name)} AS {identifier(name)}" for name in given)
    fields = (*given, "flow_id") if "flow_id" in names else tuple(given)
    key = "flow_id AS key, " if "flow_id" in names else ""
    return _format("parquet", into, key + taken, fields, Path(path))


def _format(kind: Input, into: str, taken: str, fields: tuple[str, ...], path: Path) -> ImportFormat:
    check_fields(fields, 0)
    part = Part(into, "", f"SELECT n, {taken} FROM rows", 0)
    return ImportFormat(kind, kind.upper(), "", kind, (), "", {}, (), (part,), path, fields, strict=True)


def _with(form: ImportFormat, **changes: Any) -> ImportFormat:
    from dataclasses import replace

    return replace(form, **changes)


def _texts(values: dict[str, Any], key: str) -> dict[str, str]:
    found = values.get(key, {})
    if not isinstance(found, dict) or not all(isinstance(one, (str, int)) for one in found.values()):
        raise FormatError(f"{key} is no list of names", "Write each as ours: theirs.")
    return {str(name): str(value) for name, value in found.items()}
