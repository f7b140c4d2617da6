"""No character that could act on a terminal survives."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.records.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b[2J\x1b]0;title\x07", "\u241b[2J\u241b]0;title\u2407"),
        ("\x1b]52;c;aGk=\x1b\\", "\u241b]52;c;aGk=\u241b\\"),
        ("a\rb\nc\td", "a\u240db\u240ac\u2409d"),
        ("\x9b31m", "<U+009B>31m"),
        ("\x7f", "\u2421"),
        ("user\u202egpj.exe", "user<U+202E>gpj.exe"),
        ("pay\u200bpal", "pay<U+200B>pal"),
        ("a\u00a0b", "a<U+00A0>b"),
        ("\u2028", "<U+2028>"),
        ("\ud800", "<U+D800>"),
        ("\ue000", "<U+E000>"),
        ("\u3164", "<U+3164>"),
        ("b\u00fccher \u6771\u4eac", "b\u00fccher \u6771\u4eac"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 5, "e" + "\u0301" * 3 + "<U+0301>" * 2),
    ],
)
def test_each_kind_of_character(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(), max_size=40))
def test_nothing_that_acts_is_left(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert not any(unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"} for c in shown)
    assert visible(shown) == shown
