"""SQL as an editor sees it: words with their kinds, and what could stand at the cursor.

Not a parser: any text has words, wrong or unfinished, and the engine alone judges a query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workbench.filters import Completion

if TYPE_CHECKING:
    from workbench.store.known import Known

_KEYWORDS: Final = (
    "all and any anti as asc asof at between by case cast cross cube desc distinct else end escape except exclude exists explain"
    " false filter first following from full glob group grouping having ilike in inner intersect interval is isnull join last"
    " lateral left like limit materialized natural not notnull null nulls offset on or order outer over partition pivot"
    " positional preceding qualify range recursive replace respect right rollup row rows sample select semi sets similar some"
    " summarize table tablesample then ties to true try_cast unbounded union unnest unpivot using values when where window with"
    " within"
)
KEYWORDS: Final = frozenset(_KEYWORDS.split())
#: Keywords behind which another part of a query begins, as what may follow is another thing there.
_CLAUSES: Final = frozenset(
    {"select", "from", "join", "where", "on", "by", "having", "using", "limit", "offset", "qualify", "window", "with", "values"}
    | {"union", "except", "intersect"}
)
_TOKEN: Final = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<string>'[^']*(?:''[^']*)*(?:'|\Z)|\$\$.*?(?:\$\$|\Z))"
    r'|(?P<quoted>"[^"]*(?:""[^"]*)*(?:"|\Z))'
    r"|(?P<number>[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<parameter>\$[A-Za-z0-9_]+|\?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<space>\s+)"
    r"|(?P<sign>.)",
    re.DOTALL,
)
#: Offers at once.
_MOST: Final = 60


@dataclass(frozen=True, slots=True)
class Word:
    """kind: comment, string, quoted, number, parameter, keyword, function, word or sign. Characters `start` to `end`."""

    kind: str
    text: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """Every word of a text but the spaces, in order. Takes any text."""
    out: list[Word] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "sign"
        if kind == "space":
            continue
        if kind == "word" and match[0].lower() in KEYWORDS:
            kind = "keyword"
        elif match[0] == "(" and out and out[-1].kind == "word" and out[-1].end == match.start():
            out[-1] = Word("function", out[-1].text, out[-1].start, out[-1].end)
        out.append(Word(kind, match[0], match.start(), match.end()))
    return out


def plain(word: Word) -> str:
    """The name that a word means."""
    if word.kind == "quoted":
        return word.text.strip('"').replace('""', '"').lower()
    return word.text.lower()


def named_tables(words: Sequence[Word]) -> dict[str, str]:
    """Alias, or the name itself -> table, of everything in the FROM clauses; and names that WITH gives, as themselves."""
    found: dict[str, str] = {}
    words = [word for word in words if word.kind != "comment"]
    for n, word in enumerate(words):
        if word.kind == "keyword" and word.text.lower() in ("from", "join"):
            _from_clause(words, n + 1, found)
        elif word.text.lower() == "as" and [one.text for one in words[n + 1 : n + 2]] == ["("] and n:
            name = plain(words[n - 1])
            if words[n - 1].kind in ("word", "quoted"):
                found.setdefault(name, name)
    return found


def _from_clause(words: Sequence[Word], at: int, found: dict[str, str]) -> None:
    """`a, b AS c, d e` from a place on."""
    while at < len(words) and words[at].kind in ("word", "quoted"):
        table = alias = plain(words[at])
        at += 1
        if at < len(words) and words[at].text.lower() == "as":
            at += 1
        if at < len(words) and words[at].kind in ("word", "quoted"):
            alias = plain(words[at])
            at += 1
        found[alias] = table
        if at >= len(words) or words[at].text != ",":
            return
        at += 1


def completions(text: str, cursor: int, known: Known, *, asked: bool = False) -> list[Completion]:
    """What could stand at the cursor; nothing within a string or comment, or where no word was begun and none was asked for."""
    words = words_of(text)
    under = next((word for word in words if word.start < cursor <= word.end), None)
    if under is not None and (under.kind in ("string", "comment", "number", "parameter") or under.text.startswith('"')):
        return []
    begun = under if under is not None and under.kind in ("word", "keyword", "function") else None
    start = begun.start if begun is not None else cursor
    prefix = text[start:cursor].lower()
    before = [word for word in words if word.end <= start and word.kind != "comment"]
    end = begun.end if begun is not None else cursor
    tables = named_tables(words)
    last = before[-1] if before else None
    if last is not None and last.text == "." and last.end == start:
        return _columns_of(before, tables, prefix, start, end, known)
    if _wants_table(before):
        names = {**known.tables, **{name: {} for name in tables.values() if name not in known.tables}}
        about = {name: "view" if name in known.views else f"table, {len(cols)} columns" for name, cols in names.items()}
        return _ranked(((name, "table", about[name]) for name in names), prefix, start, end)
    if not prefix and not asked:
        return []
    return _ranked(_anything(tables, known), prefix, start, end)


def _columns_of(
    before: Sequence[Word], tables: dict[str, str], prefix: str, start: int, end: int, known: Known
) -> list[Completion]:
    if len(before) < 2 or before[-2].kind not in ("word", "quoted"):
        return []
    name = plain(before[-2])
    columns = known.tables.get(tables.get(name, name), {})
    return _ranked(((column, "column", about) for column, about in columns.items()), prefix, start, end)


def _wants_table(before: Sequence[Word]) -> bool:
    """Whether the next word is the name of a table: behind FROM or JOIN, or a comma of that list."""
    if not before:
        return False
    last = before[-1].text.lower()
    if before[-1].kind == "keyword" and last in ("from", "join", "summarize", "table"):
        return True
    if last != ",":
        return False
    depth = 0
    for word in reversed(before):
        depth += (word.text == ")") - (word.text == "(")
        if depth < 0:
            return False
        if depth == 0 and word.kind == "keyword" and word.text.lower() in _CLAUSES:
            return word.text.lower() in ("from", "join")
    return False


def _anything(tables: dict[str, str], known: Known) -> Iterable[tuple[str, str, str]]:
    """Columns of the tables that the query names, their aliases, functions, keywords."""
    seen: set[str] = set()
    for table in dict.fromkeys(tables.values()):
        for column, about in known.tables.get(table, {}).items():
            if column not in seen:
                seen.add(column)
                yield column, "column", f"{table}: {about}"
    for alias, table in tables.items():
        yield alias, "table", "table" if alias == table else f"alias of {table}"
    yield from ((word, "keyword", "keyword") for word in sorted(KEYWORDS))
    yield from ((f"{name}(", "function", about or "function") for name, about in known.functions.items())


def _ranked(found: Iterable[tuple[str, str, str]], prefix: str, start: int, end: int) -> list[Completion]:
    """Those that begin with what is typed, then those that hold it; each in the order given. What is typed already is none."""
    begin: list[Completion] = []
    hold: list[Completion] = []
    seen: set[str] = set()
    for text, kind, about in found:
        low = text.lower()
        if low in seen or low == prefix:
            continue
        seen.add(low)
        name = kind in ("column", "table")
        offer = Completion(start, end, _written(text, kind), "field" if name else "word", about[:200])
        if low.startswith(prefix):
            begin.append(offer)
        elif name and len(prefix) > 1 and prefix in low:
            hold.append(offer)
    return (begin + hold)[:_MOST]


def _written(text: str, kind: str) -> str:
    """A name as SQL takes it."""
    if kind in ("table", "column") and not re.fullmatch(r"[a-z_][a-z0-9_]*", text):
        return '"' + text.replace('"', '""') + '"'
    return text
