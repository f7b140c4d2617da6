"""The editor's own reading of SQL: any text has words, and completions follow from what stands around the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.store.known import Known
from workbench.tui.sql_words import completions, named_tables, words_of

KNOWN = Known(
    {"flows": {"src_ip": "varchar", "dst_ip": "varchar", "ts": "timestamp"}, "dns": {"query": "varchar", "Odd Name": "x"}},
    frozenset(),
    {"count": "aggregate", "coalesce": "scalar"},
)
PIECES = st.lists(
    st.sampled_from(
        ["select", "from", "flows", "dns", " ", ",", ".", "(", ")", "'", '"', "--", "/*", "*/", "$$", "\n", "a", "as", "join"]
    )
    | st.text(max_size=4),
    max_size=30,
).map("".join)


@given(PIECES)
def test_any_text_has_words_that_are_in_it(text: str) -> None:
    at = 0
    for word in words_of(text):
        assert text[word.start : word.end] == word.text
        assert not text[at : word.start].strip()
        assert word.end > word.start
        at = word.end
    assert not text[at:].strip()


@given(PIECES, st.integers(-5, 200), st.booleans())
def test_any_text_can_be_completed_anywhere(text: str, cursor: int, asked: bool) -> None:
    for offer in completions(text, max(0, min(cursor, len(text))), KNOWN, asked=asked):
        assert 0 <= offer.start <= offer.end <= len(text)


def offered(text: str, *, asked: bool = False) -> list[str]:
    """Completions where | stands."""
    at = text.index("|")
    return [offer.text for offer in completions(text.replace("|", ""), at, KNOWN, asked=asked)]


def test_tables_behind_from_and_join() -> None:
    assert offered("SELECT * FROM |") == ["flows", "dns"]
    assert offered("SELECT * FROM f|") == ["flows"]
    assert offered("SELECT * FROM flows f JOIN d|") == ["dns"]
    assert offered("SELECT * FROM flows, |") == ["flows", "dns"]
    assert "flows" not in offered("SELECT src_ip, |", asked=True)


def test_columns_behind_an_alias() -> None:
    assert offered("SELECT f.| FROM flows f") == ["src_ip", "dst_ip", "ts"]
    assert offered("SELECT f.d| FROM flows AS f") == ["dst_ip"]
    assert offered("SELECT dns.| FROM dns") == ["query", '"Odd Name"']
    assert offered("SELECT x.| FROM flows f") == []


def test_columns_of_named_tables_before_keywords_and_functions() -> None:
    found = offered("SELECT s| FROM flows")
    assert found[0] == "src_ip"
    assert "select" in found
    assert offered("SELECT cou| FROM flows") == ["count("]


def test_parts_of_a_name_find_a_column() -> None:
    assert offered("SELECT ip| FROM flows") == ["src_ip", "dst_ip"]


@pytest.mark.parametrize("text", ["SELECT 'fr|", "-- fro|", "/* f| */", "SELECT 12|", 'SELECT "s|'])
def test_nothing_within_texts_comments_and_numbers(text: str) -> None:
    assert offered(text, asked=True) == []


def test_nothing_unasked_where_no_word_is_begun() -> None:
    assert offered("SELECT | FROM flows") == []
    assert "src_ip" in offered("SELECT | FROM flows", asked=True)


def test_a_name_that_with_gives_is_a_table() -> None:
    assert named_tables(words_of("WITH mine AS (SELECT 1) SELECT * FROM mine m")) == {"mine": "mine", "m": "mine"}
    assert "mine" in offered("WITH mine AS (SELECT 1) SELECT * FROM mi|")


def test_words_have_kinds() -> None:
    kinds = [word.kind for word in words_of("SELECT count(x), 'it''s', \"q\", 1.5e3, $p -- end")]
    assert kinds == [
        *("keyword", "function", "sign", "word", "sign", "sign", "string", "sign", "quoted", "sign", "number", "sign"),
        *("parameter", "comment"),
    ]
