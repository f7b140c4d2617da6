"""Fields: what a name in a filter stands for, made from the one column list and the aliases.

A field is one or more columns of one table. Names of `flows` stand alone (`src_ip`), those of every other table
behind its name (`links.cause`). A new table in records.columns brings its fields by itself; `joins` says how a
table without a flow_id belongs to flows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Final

from workbench.records.columns import TABLES, Column, Table, Type


class Kind(StrEnum):
    """What a field holds, for a person; which values and comparisons it takes follows from it."""

    NUMBER = "a number"
    FLAGS = "flags"
    SWITCH = "1 or 0"
    DECIMAL = "a decimal number"
    SIZE = "a number of bytes"
    COUNT = "a count"
    SECONDS = "a duration"
    MICROSECONDS = "a duration in microseconds"
    TIME = "a time"
    TEXT = "text"
    PROTOCOL = "an IP protocol"
    ADDRESS = "an IP address"
    MAC = "a MAC address"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Part:
    """One column behind a field. guard: condition under which the column means this field (no values but the program's own).

    text, blob, halves: the columns that hold an address's text, its 16 bytes, and it as two numbers, where there are such.
    """

    column: str
    type: Type
    null: bool
    guard: str = ""
    text: str | None = None
    blob: str | None = None
    halves: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A name and what it stands for.

    guard: condition that all its parts share. family: 4 or 6 where only those addresses count. mask: the bit that a
    switch is. low, high: the values that make sense. bounds: a time that flows hold between their first and last
    packet: compared with the one column or the other. stacked: its text may be several names with commas between them,
    from the outside in, and equality is asked of each. side: src or dst where rows of its table belong to one end only.
    """

    name: str
    kind: Kind
    parts: tuple[Part, ...]
    table: str = "flows"
    meaning: str = ""
    guard: str = ""
    family: int = 0
    mask: int = 0
    low: int | None = None
    high: int | None = None
    side: str = ""
    bounds: tuple[str, str] | None = None
    stacked: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns behind it."""
        return tuple(part.column for part in self.parts)


@dataclass(frozen=True, slots=True)
class Presence:
    """A name that is only asked whether it is there: a protocol. condition: over a row of flows, or what makes it when asked."""

    name: str
    condition: str | Callable[[], str]
    meaning: str
    table: str = "flows"

    def sql(self) -> str:
        """The condition."""
        return self.condition if isinstance(self.condition, str) else self.condition()


@dataclass(frozen=True, slots=True)
class Join:
    """How rows of a table belong to flows: each pair of key lists is one way.

    through: where that is looked up in another table, a condition with {} for `FROM table WHERE ...`.
    """

    ways: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    through: str = ""


#: Columns of `flows` that hold stacked names: `smb,dcerpc`.
STACKED: Final = frozenset({"service"})

_BY_FLOW: Final = Join(((("flow_id",), ("flow_id",)),))
_BY_SOURCE: Final = Join(((("source_id",), ("source_id",)),))
_ENDS: Final = ("source_id", "tunnel", "coalesce(vni, -1)")

#: Two lookups, each of one column, are faster than one of either.
_NAMED: Final = "SELECT flow_id FROM flow_identity WHERE {}_wid IN (SELECT workload_id {{0}})"

#: Tables that hold no flow_id: arp belongs to the flows of the address that its sender claims, tunnels to the flows
#: inside; findings to the flows of their evidence; what is about a source, to all of its flows.
_JOINS: Final[dict[str, Join]] = {
    "arp": Join(tuple((("source_id", "network", end), ("source_id", "network", "src_ip")) for end in ("src_ip", "dst_ip"))),
    "findings": Join(((("flow_id",), ("unnest(TRY_CAST(flow_ids AS BIGINT[]))",)),)),
    "workloads": Join((), f"flow_id IN ({_NAMED.format('src')} UNION ALL {_NAMED.format('dst')})"),
    "workloads@src": Join((), f"flow_id IN ({_NAMED.format('src')})"),
    "workloads@dst": Join((), f"flow_id IN ({_NAMED.format('dst')})"),
    "tunnels": Join(
        (
            ((*_ENDS, "outer_src_ip", "outer_dst_ip"), (*_ENDS, "outer_src_ip", "outer_dst_ip")),
            ((*_ENDS, "outer_dst_ip", "outer_src_ip"), (*_ENDS, "outer_src_ip", "outer_dst_ip")),
        )
    ),
}

_RANGES: Final[dict[str, tuple[int, int]]] = {
    Type.INTEGER: (-(2**31), 2**31 - 1),
    Type.BIGINT: (-(2**63), 2**63 - 1),
}


@dataclass(frozen=True, slots=True)
class Registry:
    """All names of the filter language. absent: Wireshark's names for tables that are not there, and the table."""

    fields: Mapping[str, Field]
    presences: Mapping[str, Presence]
    joins: Mapping[str, Join]
    absent: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, in order."""
        return tuple(sorted({*self.fields, *self.presences}))

    def field(self, name: str) -> Field | None:
        """The field of a name: one that is listed, or a label of a workload (`label.app`)."""
        found = self.fields.get(name)
        if found is None and "label." in name and "workloads" in self.joins:
            from workbench.filters.workloads import label_field

            found = label_field(name)
        return found

    def nearest(self, word: str) -> str | None:
        """The name that was probably meant; None where none is close."""
        import difflib

        lower = word.lower()
        if lower in self.fields or lower in self.presences or self.field(lower) is not None:
            return lower
        if len(word) > 60:
            return None
        close = difflib.get_close_matches(lower, self.names, n=1, cutoff=0.6)
        return close[0] if close else None


def kind_of(column: Column) -> Kind:
    """What a column holds, by its type, unit and name."""
    name = column.name
    if column.type is Type.TIMESTAMP:
        return Kind.TIME
    if column.type is Type.BOOLEAN:
        return Kind.SWITCH
    if column.type is Type.BLOB:
        return Kind.ADDRESS if name.endswith("_addr") else Kind.BYTES
    if column.type is Type.VARCHAR:
        if name in ("ip", "mac") or name.endswith(("_ip", "_mac")) or name in ("eth_src", "eth_dst"):
            return Kind.ADDRESS if name.endswith("ip") else Kind.MAC
        return Kind.TEXT
    if column.type is Type.DOUBLE:
        return Kind.SECONDS if column.unit == "s" else Kind.DECIMAL
    if name == "proto":
        return Kind.PROTOCOL
    if name.endswith("_flags"):
        return Kind.FLAGS
    return {"bytes": Kind.SIZE, "us": Kind.MICROSECONDS, "packets": Kind.COUNT}.get(column.unit, Kind.NUMBER)


def part_of(table: Table, column: str, guard: str = "") -> Part:
    """A column as a part of a field; KeyError where the table has none."""
    found = table.column(column)
    text = blob = halves = None
    if kind_of(found) is Kind.ADDRESS:
        text, blob = (column, None) if found.type is Type.VARCHAR else (None, column)
        beside = f"{column[:-2]}addr"
        if found.type is Type.VARCHAR and beside in table.names:
            blob = beside
        upper, lower = (f"{blob[:-4]}{half}" for half in ("hi", "lo")) if blob else ("", "")
        halves = (upper, lower) if upper in table.names and lower in table.names else None
    return Part(column, found.type, found.null, guard, text, blob, halves)


def field_of(table: Table, column: str, name: str, **changes: object) -> Field:
    """The field that is one column."""
    found = table.column(column)
    low, high = _RANGES.get(found.type, (None, None))
    made = Field(name, kind_of(found), (part_of(table, column),), table.name, found.meaning, low=low, high=high)
    return replace(made, **changes) if changes else made  # type: ignore[arg-type]


def build(tables: Collection[Table]) -> Registry:
    """The registry of some tables: their columns, and of the aliases those whose columns they have."""
    from workbench.filters.aliases import absent, field_aliases, presences

    by_name = {table.name: table for table in tables}
    fields: dict[str, Field] = {}
    joins: dict[str, Join] = {}
    for table in tables:
        for column in table.names:
            name = column if table.name == "flows" else f"{table.name}.{column}"
            fields[name] = field_of(table, column, name, stacked=table.name == "flows" and column in STACKED)
        if table.name != "flows":
            joins[table.name] = _JOINS.get(table.name) or (_BY_FLOW if "flow_id" in table.names else _BY_SOURCE)
    fields.update(field_aliases(by_name))
    known = presences(by_name)
    for name in joins.keys() - known.keys():
        known[name] = Presence(name, "true", by_name[name].meaning, name)
    joins |= {name: join for name, join in _JOINS.items() if name.partition("@")[0] in joins}
    return Registry(fields, known, joins, absent(by_name))


@cache
def registry() -> Registry:
    """The registry of all tables that there are."""
    return build(TABLES)
