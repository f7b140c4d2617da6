"""One condition: a field, a comparison and its values, to SQL over the field's columns.

Of a field of several columns, == < > contains matches and in ask whether any of them fulfils it, != whether the field
is there and none is equal (Wireshark 4), === whether all are equal, !== whether any differs. A stacked text
(`smb,dcerpc`) counts as such a field for == != and in; === and !== compare it as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workbench.errors import FilterError
from workbench.filters import addresses, texts, values
from workbench.filters.fields import Field, Kind, Part
from workbench.filters.grammar import Item, Test, Word
from workbench.filters.mistakes import shown
from workbench.filters.sql import TRUE, Sql, either, every, negated

_ORDERED: Final = ("<", "<=", ">", ">=")
_TEXT_ONLY: Final = ("contains", "matches")
_SQL: Final = {"==": "=", "!=": "<>", **{sign: sign for sign in _ORDERED}}

#: Values of a set at most: each is a parameter, each prefix a comparison of every row.
MOST_VALUES: Final = 4096
MOST_RANGES: Final = 256


def present(field: Field, mask: Word | None = None) -> Sql:
    """Whether the field is there; with a mask, whether any of its bits is set."""
    if mask is not None:
        bits = values.read_whole(mask, field)
        return _any(field, [Sql(f"({part.column} & ?) <> 0", (bits,)) for part in field.parts])
    return _any(field, [_present(field, part) for part in field.parts])


def holds(field: Field, test: Test, now: int) -> Sql:
    """The condition of a comparison with values. FilterError where they do not go together."""
    if field.bounds is not None:
        return _within_bounds(field, test, now)
    if field.mask:
        return _switch(field, test)
    if test.op == "not in":
        return negated(_any(field, _each(field, test, now)))
    if test.op == "!=":
        return every([present(field), negated(_any(field, _each(field, test, now)))])
    if test.op == "===" and field.stacked:
        return _any(field, _each(field, test, now))  # one column: it is equal
    if test.op == "===":
        return every([present(field), negated(_any(field, _differing(field, test, now)))])
    if test.op == "!==":
        return _any(field, _differing(field, test, now))
    return _any(field, _each(field, test, now))


def compare_columns(left: Field, right: Field, test: Test) -> Sql:
    """Two fields with each other: any column of the one with any of the other."""
    word = test.op_word or test.field
    if test.op not in _SQL or test.mask is not None:
        raise _not_for(left, test, f"{word.text} does not compare two fields")
    pairs = []
    equal = "==" if test.op == "!=" else test.op
    for a in left.parts:
        for b in right.parts:
            if left.kind is Kind.ADDRESS and equal in _ORDERED and not (a.blob and b.blob):
                raise _not_for(left, test, f"{left.name} and {right.name} have no order")
            guards = [Sql(guard) for guard in (left.guard, right.guard, a.guard, b.guard) if guard]
            families = [_present(field, part) for field, part in ((left, a), (right, b)) if field.family and part.text]
            pairs.append(every([*dict.fromkeys(guards), *dict.fromkeys(families), _compared(a, equal, b)]))
    made = either(pairs)
    return every([present(left), present(right), negated(made)]) if test.op == "!=" else made


def _compared(a: Part, sign: str, b: Part) -> Sql:
    """Two columns with each other, in the form that costs least."""
    if a.halves and b.halves and sign == "==":
        return every([Sql(f"{one} = {other}") for one, other in zip(a.halves, b.halves, strict=True)])
    one, other = (a.blob, b.blob) if a.blob and b.blob else (a.column, b.column)
    return Sql(f"{one} {_SQL[sign]} {other}")


def _any(field: Field, conditions: Sequence[Sql]) -> Sql:
    """Any part's condition, under the part's guard and the field's."""
    parts = [
        every([Sql(part.guard), condition]) if part.guard else condition
        for part, condition in zip(field.parts, conditions, strict=True)
    ]
    made = TRUE if TRUE in parts else either(dict.fromkeys(parts))
    return every([Sql(field.guard), made]) if field.guard else made


def _differing(field: Field, test: Test, now: int) -> list[Sql]:
    """For every part, whether its column is there and is none of the values."""
    there = [_present(field, part) for part in field.parts]
    return [every([a, negated(b)]) for a, b in zip(there, _each(field, test, now), strict=True)]


def _present(field: Field, part: Part) -> Sql:
    if field.family and part.halves:
        return Sql(addresses.family_of(part.halves, field.family))
    if field.family and part.text:
        return Sql(addresses.family_guard(part.text, field.family))
    column = part.halves[1] if part.halves else part.column
    return Sql(f"{column} IS NOT NULL") if part.null else TRUE


def _each(field: Field, test: Test, now: int) -> list[Sql]:
    """For every part, whether its column is one of the values, or compares as asked."""
    if len(test.items) > MOST_VALUES:
        raise _not_for(field, test, f"a set has {MOST_VALUES:,} values at most, this one {len(test.items):,}")
    if test.op in _TEXT_ONLY and field.kind is not Kind.TEXT:
        raise _not_for(field, test, f"{(test.op_word or test.field).text} is for text; {field.name} holds {field.kind}")
    if test.op in _ORDERED and field.kind in (Kind.SWITCH, Kind.MAC, Kind.BYTES):
        raise _not_for(field, test, f"{field.name} has no order: it holds {field.kind}")
    if field.kind is Kind.ADDRESS:
        intervals = _intervals(field, test)
        return [addresses.one_of(part.text, part.blob, intervals, part.halves) for part in field.parts]
    if test.op in ("==", "!=", "===", "!==", "in", "not in"):
        return _listed(field, test, now)
    if field.kind is Kind.TEXT and test.op in _TEXT_ONLY:
        say = texts.contains if test.op == "contains" else texts.matches
        return [say(part.column, test.items[0].low) for part in field.parts]
    value = _bound(field, test.items[0].low, now)
    params = _mask(field, test) + value.params
    return [Sql(f"{_column(part, test)} {_SQL[test.op]} {value.text}", params) for part in field.parts]


def _listed(field: Field, test: Test, now: int) -> list[Sql]:
    """Equal to one of the values, or within one of the ranges."""
    if sum(1 for item in test.items if item.high) > MOST_RANGES:
        raise _not_for(field, test, f"a set has {MOST_RANGES} ranges at most")
    each = field.stacked and test.op not in ("===", "!==")
    made = []
    for part in field.parts:
        column = _column(part, test)
        conditions: list[Sql] = []
        plain: list[Sql] = []
        names: list[str] = []
        for item in test.items:
            if item.high is not None:
                conditions.append(_range(field, item, column, test, now))
            elif each and "," not in item.low.text and texts.has_wildcard(item.low.text):
                conditions.append(texts.like_one_of_stack(column, item.low))
            elif each and "," not in item.low.text:
                names.append(item.low.text)
            elif field.kind in (Kind.TEXT, Kind.MAC) and texts.has_wildcard(item.low.text):
                pattern = values.read_mac(item.low, field) if field.kind is Kind.MAC else item.low.text
                conditions.append(texts.like(column, pattern))
            else:
                plain.append(_bound(field, item.low, now))
        if len(conditions) > MOST_RANGES:
            raise _not_for(field, test, f"a set has {MOST_RANGES} patterns at most")
        if names:
            conditions.append(texts.one_of_stack(column, names))
        if plain:
            params = tuple(param for value in plain for param in value.params)
            asked = f"= {plain[0].text}" if len(plain) == 1 else f"IN ({', '.join(value.text for value in plain)})"
            conditions.append(Sql(f"{column} {asked}", _mask(field, test) + params))
        made.append(either(conditions))
    return made


def _range(field: Field, item: Item, column: str, test: Test, now: int) -> Sql:
    assert item.high is not None
    if field.kind in (Kind.SWITCH, Kind.MAC, Kind.BYTES):
        raise _not_for(field, test, f"{field.name} has no ranges: it holds {field.kind}")
    low, high = _bound(field, item.low, now), _bound(field, item.high, now)
    if low.params[0] > high.params[0]:
        raise _backwards(item)
    return Sql(f"{column} BETWEEN {low.text} AND {high.text}", _mask(field, test) + low.params + high.params)


def _backwards(item: Item) -> FilterError:
    assert item.high is not None
    return FilterError(
        f"the range {item.low.text}..{item.high.text} goes backwards (column {item.low.at + 1})",
        f"Write {item.high.text}..{item.low.text}.",
        position=item.low.at,
        length=item.high.end - item.low.at,
    )


def _bound(field: Field, word: Word, now: int) -> Sql:
    """A value as SQL takes it."""
    kind = field.kind
    if kind is Kind.TIME:
        return Sql("make_timestamp(?)", (values.read_time(word, field, now),))
    if kind is Kind.TEXT:
        return Sql("?", (word.text,))
    if kind is Kind.MAC:
        return Sql("?", (values.read_mac(word, field),))
    if kind is Kind.SWITCH:
        return Sql("?", (values.read_switch(word, field),))
    if kind in (Kind.SECONDS, Kind.DECIMAL):
        return Sql("?", (values.read_decimal(word, field),))
    if kind is Kind.BYTES:
        return Sql("?", (values.read_bytes(word, field),))
    return Sql("?", (values.read_whole(word, field),))


def _column(part: Part, test: Test) -> str:
    return part.column if test.mask is None else f"({part.column} & ?)"


def _mask(field: Field, test: Test) -> tuple[int, ...]:
    return () if test.mask is None else (values.read_whole(test.mask, field),)


def _intervals(field: Field, test: Test) -> list[addresses.Interval]:
    """The addresses asked for; what an order asks for lies within the family of its value."""
    found: list[addresses.Interval] = []
    for item in test.items:
        low = _network(field, item.low)
        if item.high is not None:
            high = _network(field, item.high)
            if low.family != high.family or low.first > high.last:
                raise _backwards(item)
            found += addresses.within([(low.first, high.last)], low.family)
        elif test.op in _ORDERED:
            found += addresses.within([_beyond(field, test, low)], low.family)
        else:
            found += addresses.within([(low.first, low.last)], low.family)
    made = addresses.merged(found)
    if sum(1 for a, b in made if a != b) > MOST_RANGES:
        raise _not_for(field, test, f"a set has {MOST_RANGES} prefixes at most")
    return made


def _beyond(field: Field, test: Test, at: addresses.Network) -> addresses.Interval:
    if at.first != at.last:
        raise _not_for(field, test, "a prefix has no order: use == or in")
    return {
        "<": (0, at.first - 1),
        "<=": (0, at.first),
        ">": (at.first + 1, addresses.LAST),
        ">=": (at.first, addresses.LAST),
    }[test.op]


def _network(field: Field, word: Word) -> addresses.Network:
    found = addresses.read_address(word.text)
    if found is None:
        raise values.refuse(word, field)
    if field.family and found.family != field.family:
        other = "ipv6.addr" if found.family == 6 else "ip.addr"
        raise FilterError(
            f"{shown(word.text)} is an IPv{found.family} address, {field.name} holds IPv{field.family} (column {word.at + 1})",
            f"Use {other}, or addr, src_ip and dst_ip, which hold both.",
            position=word.at,
            length=word.length,
        )
    return found


def _switch(field: Field, test: Test) -> Sql:
    """A flag that was seen, or was never seen although there were flags to see."""
    if test.mask is not None or test.op not in ("==", "!=", "===", "!==", "in", "not in"):
        raise _not_for(field, test, f"{field.name} is 1 or 0")
    wanted = {values.read_switch(item.low, field) for item in test.items}
    if any(item.high is not None for item in test.items):
        raise _not_for(field, test, f"{field.name} has no ranges: it is 1 or 0")
    if test.op in ("!=", "!=="):
        wanted = {not one for one in wanted}
    seen = _any(field, [Sql(f"({part.column} & ?) <> 0", (field.mask,)) for part in field.parts])
    there = present(field)
    cases = [seen if one else every([there, negated(seen)]) for one in sorted(wanted)]
    made = there if len(cases) == 2 else cases[0]
    return negated(made) if test.op == "not in" else made


def _within_bounds(field: Field, test: Test, now: int) -> Sql:
    """A packet's time: a flow has one at or after a moment if its last is, one at or before if its first is."""
    assert field.bounds is not None
    first, last = field.bounds
    if test.op not in _ORDERED:
        raise _not_for(field, test, f"of a flow's packets only the first and last time are known: {field.name} goes with < and >")
    column = last if test.op in (">", ">=") else first
    value = _bound(field, test.items[0].low, now)
    return Sql(f"{column} {_SQL[test.op]} {value.text}", value.params)


def _not_for(field: Field, test: Test, why: str) -> FilterError:
    word = test.op_word or test.field
    return FilterError(
        f"{why} (column {word.at + 1})",
        f"{field.name} takes {values.EXAMPLES[field.kind]}.",
        position=word.at,
        length=word.length,
    )
