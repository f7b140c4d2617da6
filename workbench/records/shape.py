"""What a column and a table are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """Column types, named as SQL names them."""

    BIGINT = "BIGINT"
    INTEGER = "INTEGER"
    DOUBLE = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    VARCHAR = "VARCHAR"
    BLOB = "BLOB"
    TIMESTAMP = "TIMESTAMP"


class Privacy(StrEnum):
    """What a column can tell about people; docs/privacy.md says what each class means."""

    COUNT = "count"  # counts, times, states: tells that something happened
    ADDRESS = "address"  # network identifiers: addresses, MACs, tags, fingerprints of software
    NAME = "name"  # names said on the wire: hosts, services, shares
    HASHED = "hashed"  # stored only as a keyed hash
    LOCAL = "local"  # about the analyst's own machine: paths, file hashes


@dataclass(frozen=True, slots=True)
class Column:
    """One column. unit is '' where the value has none. heading is what a narrow table shows."""

    name: str
    type: Type
    meaning: str
    unit: str = ""
    privacy: Privacy = Privacy.COUNT
    null: bool = True
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns in order, and the columns it is sorted by in segments."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    sort: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)
