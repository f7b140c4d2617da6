"""A filter's text to a condition over a row of `flows`, every value a parameter."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from workbench.errors import FilterError
from workbench.filters import predicates
from workbench.filters.fields import Field, Kind, Presence, Registry, registry
from workbench.filters.grammar import Group, Node, Not, Test, Word, parse
from workbench.filters.mistakes import shown
from workbench.filters.sql import TRUE, Sql, differ, either, every, negated

#: How often other tables may be looked into: each time is a level in the database's plan, which has a bound.
MOST_TABLES: Final = 128


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter.

    sql: condition over a row of `flows`, columns unqualified, ? for every value of params in order. fields: the names
    used. needs: tables besides `flows`.
    """

    text: str
    sql: str
    params: tuple[Any, ...]
    fields: tuple[str, ...]
    needs: tuple[str, ...]


def compile_filter(
    text: str,
    *,
    now: int | None = None,
    tables: Collection[str] | None = None,
    names: Registry | None = None,
) -> Filter:
    """Compile a filter; a blank one keeps everything. FilterError where it means nothing.

    now: microseconds since 1970 UTC that relative times count from, default this moment. tables: the tables that the
    case has, default all. names: another registry than that of the tables there are.
    """
    tree = parse(text)
    if tree is None:
        return Filter(text, "true", (), (), ())
    moment = now if now is not None else time.time_ns() // 1000
    work = _Compiler(names or registry(), moment, tables, text)
    made = work.node(tree)
    return Filter(text, made.text, made.params, tuple(dict.fromkeys(work.used)), tuple(dict.fromkeys(work.needs)))


@dataclass(slots=True)
class _Compiler:
    """One compilation: what is known, and what was used."""

    names: Registry
    now: int
    tables: Collection[str] | None
    text: str
    used: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)

    def node(self, node: Node) -> Sql:
        """The condition of a part of the tree over a row of flows."""
        table = self._table_of(node)
        if table is not None:
            return self._member(table, self._row(node))
        if isinstance(node, Test):
            return self._row(node)
        if isinstance(node, Not):
            return negated(self.node(node.part))
        if node.joined == "and":
            return self._all(node)
        parts = [self.node(part) for part in node.parts]
        return either(parts) if node.joined == "or" else differ(parts)

    def _all(self, group: Group) -> Sql:
        """Conditions of one group on one other table hold for one row of it."""
        rows: dict[str, list[Sql]] = {}
        parts: list[Sql | str] = []
        for part in group.parts:
            table = self._table_of(part)
            if table is None:
                parts.append(self.node(part))
                continue
            if table not in rows:
                parts.append(table)
            rows.setdefault(table, []).append(self._row(part))
        return every([self._member(part, every(rows[part])) if isinstance(part, str) else part for part in parts])

    def _table_of(self, node: Node) -> str | None:
        """The one other table that a condition, or a choice of conditions, is about; None for everything else."""
        if isinstance(node, Test):
            found = self._find(node)
            return None if found.table == "flows" or node.op == "not in" else _rows_of(found)
        if isinstance(node, Group) and node.joined == "or":
            tables = {self._table_of(part) for part in node.parts}
            return tables.pop() if len(tables) == 1 else None
        return None

    def _row(self, node: Node) -> Sql:
        """A condition over a row of the table that it is about."""
        if isinstance(node, Group):
            return either([self._row(part) for part in node.parts])
        assert isinstance(node, Test)
        found = self._find(node)
        self.used.append(found.name)
        if isinstance(found, Presence):
            return self._presence(found, node)
        _check_mask(found, node)
        if node.op == "not in" and found.table != "flows":
            inside = Test(node.field, "in", node.items, node.mask, node.op_word)
            return negated(self._member(_rows_of(found), predicates.holds(found, inside, self.now)))
        if not node.op:
            return predicates.present(found, node.mask)
        other = self._column_meant(found, node)
        if other is not None:
            self.used.append(other.name)
            return predicates.compare_columns(found, other, node)
        return predicates.holds(found, node, self.now)

    def _presence(self, found: Presence, node: Test) -> Sql:
        if node.op or node.mask is not None:
            what, remedy = "is a protocol or table: it is", "Name one of its fields: docs/filters.md lists them."
            if "." in found.name:  # a property of the flow, not a protocol with fields
                what, remedy = "is", "Write it alone; ! before it asks for the other flows."
            raise _wrong(
                f"{shown(found.name)} {what} there or not, it has no value",
                remedy,
                node.op_word or node.field,
            )
        if found.name == "arp":
            raise _wrong(
                "ARP packets are part of no flow, so no flow is ARP",
                'They are in the table arp: workbench query "SELECT * FROM arp". arp.src_ip == ... finds flows of its addresses.',
                node.field,
            )
        return Sql(found.sql())

    def _column_meant(self, found: Field, node: Test) -> Field | None:
        """The field that stands where a value does; a text in quotes is never one."""
        if len(node.items) != 1 or node.op in ("in", "not in", "contains", "matches"):
            return None
        word = node.items[0].low
        other = self.names.fields.get(word.text)
        if word.quoted or other is None or _rows_of(other) != _rows_of(found) or other.bounds or other.mask or found.mask:
            return None
        alike = other.kind is found.kind or {other.kind, found.kind} <= {Kind.NUMBER, Kind.SIZE, Kind.COUNT}
        return other if alike else None

    def _find(self, node: Test) -> Field | Presence:
        """What the test's name stands for: a protocol where it is asked alone, else a field."""
        word = node.field
        presence, made = self.names.presences.get(word.text), self.names.field(word.text)
        alone = not node.op and node.mask is None
        chosen = (presence or made) if alone else (made or presence)
        if chosen is None:
            raise self._unknown(word)
        if chosen.table != "flows" and self.tables is not None and chosen.table not in self.tables:
            raise _wrong(
                f"this case has no table {chosen.table}, which {shown(word.text)} is about",
                "Index the capture again with this version to fill it.",
                word,
            )
        return chosen

    def _unknown(self, word: Word) -> FilterError:
        if not word.text[:1].isalpha():
            return _wrong(f"a field was expected, not {shown(word.text)}", "The field comes first: tcp.port == 443.", word)
        if word.text in self.names.absent:
            table = self.names.absent[word.text]
            return _wrong(
                f"{shown(word.text)} is not recorded: there is no table {table}", "Filter by addresses and ports.", word
            )
        near = self.names.nearest(word.text)
        return FilterError(
            f"unknown field {shown(word.text)} at column {word.at + 1}" + (f"; did you mean {near}?" if near else ""),
            "" if near else "docs/filters.md lists the fields.",
            position=word.at,
            length=word.length,
            near=near,
        )

    def _member(self, table: str, row: Sql) -> Sql:
        """Whether a flow belongs to a row of the table that fulfils the condition."""
        join = self.names.joins[table]
        table = table.partition("@")[0]
        self.needs.append(table)
        if len(self.needs) > MOST_TABLES:
            raise FilterError(
                f"the filter looks into other tables more than {MOST_TABLES} times",
                "Ask in parts, or put values of one field in a set: {1, 2, 3}.",
                position=0,
                length=len(self.text),
            )
        where = "" if row == TRUE else f" WHERE {row.text}"
        if join.through:
            return Sql(join.through.replace("{0}", f"FROM {table}{where}"), row.params * join.through.count("{0}"))
        ways = []
        for ours, theirs in join.ways:
            left = ours[0] if len(ours) == 1 else f"({', '.join(ours)})"
            ways.append(Sql(f"{left} IN (SELECT {', '.join(theirs)} FROM {table}{where})", row.params))
        return either(ways)


def _rows_of(found: Field | Presence) -> str:
    """What a condition is about: a table, or the rows of it that belong to one end of a flow."""
    side = found.side if isinstance(found, Field) else ""
    return f"{found.table}@{side}" if side else found.table


def _check_mask(found: Field, node: Test) -> None:
    if node.mask is None:
        return
    if found.kind not in (Kind.FLAGS, Kind.NUMBER, Kind.PROTOCOL) or found.mask:
        raise _wrong(f"& tests bits of numbers; {found.name} holds {found.kind}", "Leave the & out.", node.mask)


def _wrong(message: str, remedy: str, word: Word) -> FilterError:
    return FilterError(f"{message} (column {word.at + 1})", remedy, position=word.at, length=word.length)
