"""The grammar: filter text to a tree, by Lark (LALR), or a FilterError that says where and what to write.

The lexer knows one kind of word for fields and values alike; which is meant follows from where it stands, and
whether it means anything is for `compile` to find out, with the list of fields at hand. The parser needs no
stack of its own for nesting, but those who walk the tree do: its depth is bounded here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from workbench.errors import FilterError

if TYPE_CHECKING:
    from lark import Lark, Token

#: Characters of the longest filter: room for a pasted list of a few thousand addresses.
LONGEST: Final = 65_536

#: How deep parentheses and negations may nest.
DEEPEST: Final = 64

#: What an unquoted word is made of; two dots in a row are the range sign.
WORD: Final = r"(?:(?!\.\.)[\w.:/*?%+@$\\-])+"
STRING: Final = r'r?"(?:[^"\\]|\\.)*"' + r"|r?'(?:[^'\\]|\\.)*'"
_ENDS: Final = r"(?![\w.:/*?%+@$\\-])"
_SYMBOLS: Final = r"===|!==|~=|==|!=|<=|>=|<(?!>)|>|~"

_GRAMMAR: Final = rf"""
start: any_of?
any_of: either (_OR either)*
either: all_of (_XOR all_of)*
all_of: _one (_AND _one)*
_one: negation | group | test
negation: NOT _one
group: "(" any_of ")"
test: operand | operand compare value | operand NOT? IN "{{" item (","? item)* "}}"
compare: SYMBOL | OPERATOR
operand: WORD (_BITAND WORD)?
item: value (".." value)?
value: WORD | STRING

STRING.9: /{STRING.replace("/", chr(92) + "/")}/s
SYMBOL.8: /{_SYMBOLS}/
_AND.7: /&&|(and|AND){_ENDS.replace("/", chr(92) + "/")}/
_OR.7: /\|\||(or|OR){_ENDS.replace("/", chr(92) + "/")}/
_XOR.7: /\^\^|(xor|XOR){_ENDS.replace("/", chr(92) + "/")}/
NOT.6: /!(?!=)|(not|NOT){_ENDS.replace("/", chr(92) + "/")}/
IN.6: /in{_ENDS.replace("/", chr(92) + "/")}/
OPERATOR.6: /(eq|ne|lt|le|gt|ge|any_eq|any_ne|all_eq|all_ne|contains|matches){_ENDS.replace("/", chr(92) + "/")}/
_BITAND.5: /&(?!&)|bitand{_ENDS.replace("/", chr(92) + "/")}/
WORD.1: /{WORD.replace("/", chr(92) + "/")}/
WS: /\s+/
%ignore WS
"""

#: Every way to write a comparison, and its one name.
OPERATORS: Final[dict[str, str]] = {
    **{name: name for name in ("==", "!=", "===", "!==", "<", "<=", ">", ">=", "contains", "matches")},
    "~": "matches",
    "~=": "!==",
    "eq": "==",
    "ne": "!=",
    "any_eq": "==",
    "all_ne": "!=",
    "all_eq": "===",
    "any_ne": "!==",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word or text of the filter: what it says (quotes and escapes resolved), and where it stands."""

    text: str
    at: int
    end: int
    quoted: bool = False

    @property
    def length(self) -> int:
        """Characters in the filter."""
        return self.end - self.at


@dataclass(frozen=True, slots=True)
class Item:
    """A value, or a range of values with both ends in it."""

    low: Word
    high: Word | None = None


@dataclass(frozen=True, slots=True)
class Test:
    """A field and what is asked of it. op '': whether it is present; 'in': one of the items."""

    field: Word
    op: str = ""
    items: tuple[Item, ...] = ()
    mask: Word | None = None
    op_word: Word | None = None
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Not:
    """Everything that the part is not."""

    part: Node
    depth: int


@dataclass(frozen=True, slots=True)
class Group:
    """Two parts or more, joined by one word. An `and` within an `and` stood in parentheses of its own."""

    joined: Literal["and", "or", "xor"]
    parts: tuple[Node, ...]
    depth: int


Node = Test | Not | Group


def parse(text: str) -> Node | None:
    """The tree of a filter; None for a blank one. FilterError where it is none."""
    _check_text(text)
    if not text.strip():
        return None
    from lark.exceptions import UnexpectedInput

    try:
        made: Node | None = _parser().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        from workbench.filters.mistakes import explain

        raise explain(text, error) from None
    return made


def _check_text(text: str) -> None:
    if len(text) > LONGEST:
        raise FilterError(
            f"the filter has {len(text):,} characters, more than {LONGEST:,}",
            "Ask in parts, or put the values in a table and join it in SQL.",
            position=LONGEST,
            length=len(text) - LONGEST,
        )
    bad = re.search("[\0\ud800-\udfff]", text)
    if bad:
        raise FilterError(
            f"a filter cannot have the character U+{ord(bad[0]):04X} (column {bad.start() + 1})",
            "Remove it.",
            position=bad.start(),
            length=1,
        )


@cache
def _parser() -> Lark:
    """Made once, on first use: 60 ms, of which Lark's own import is two thirds."""
    from lark import Lark, Transformer

    class Build(Transformer[Any, Any]):
        """Rules to nodes as they are recognised."""

        def start(self, children: list[Any]) -> Node | None:
            return children[0] if children else None

        def any_of(self, children: list[Any]) -> Node:
            return _joined("or", children)

        def either(self, children: list[Any]) -> Node:
            return _joined("xor", children)

        def all_of(self, children: list[Any]) -> Node:
            return _joined("and", children)

        def negation(self, children: list[Any]) -> Node:
            return Not(children[1], _deeper([children[1]], children[0]))

        def group(self, children: list[Any]) -> Node:
            return children[0]  # type: ignore[no-any-return]

        def test(self, children: list[Any]) -> Node:
            return _test(children)

        def compare(self, children: list[Any]) -> Token:
            return children[0]  # type: ignore[no-any-return]

        def operand(self, children: list[Any]) -> tuple[Word, ...]:
            return tuple(_word(token) for token in children)

        def item(self, children: list[Any]) -> Item:
            return Item(*children)

        def value(self, children: list[Any]) -> Word:
            return _word(children[0])

    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=Build(), maybe_placeholders=False)


def _joined(how: Literal["and", "or", "xor"], parts: list[Any]) -> Node:
    if len(parts) == 1:
        return parts[0]  # type: ignore[no-any-return]
    return Group(how, tuple(parts), _deeper(parts))


def _deeper(parts: list[Any], token: Token | None = None) -> int:
    depth: int = 1 + max(part.depth for part in parts)
    if depth > DEEPEST:
        at = int(token.start_pos or 0) if token is not None else 0
        raise FilterError(f"parentheses and negations nest deeper than {DEEPEST}", "Write it flatter.", position=at, length=1)
    return depth


def _test(children: list[Any]) -> Test:
    field, *mask = children[0]
    masked = mask[0] if mask else None
    rest = children[1:]
    if not rest:
        return Test(field, mask=masked)
    if isinstance(rest[-1], Word):
        operator = rest[0]
        return Test(field, OPERATORS[str(operator)], (Item(rest[1]),), masked, _word(operator))
    tokens = [token for token in rest if not isinstance(token, Item)]
    items = tuple(item for item in rest if isinstance(item, Item))
    return Test(field, "not in" if len(tokens) == 2 else "in", items, masked, _word(tokens[-1]))


def _word(token: Token) -> Word:
    at, end = int(token.start_pos or 0), int(token.end_pos or 0)
    if token.type != "STRING":
        return Word(str(token), at, end)
    return Word(unquoted(str(token), at), at, end, quoted=True)


_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}


def unquoted(text: str, at: int = 0) -> str:
    """What a quoted text says. r"..." says what stands there; else an unknown escape keeps its backslash."""
    if text.startswith("r"):
        return text[2:-1]

    def one(match: re.Match[str]) -> str:
        said = match[1]
        if said[0] in "xu" and len(said) > 1:
            char = chr(int(said[1:], 16))
            if char == "\0" or "\ud800" <= char <= "\udfff":
                raise FilterError(
                    f"{match[0]} is no character that a text can have (column {at + match.start() + 2})",
                    "Remove it.",
                    position=at + 1 + match.start(),
                    length=len(match[0]),
                )
            return char
        return _SHORT.get(said, match[0])

    return _ESCAPE.sub(one, text[1:-1])
