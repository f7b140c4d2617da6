"""`service` in SQL against plain Python: every name of a stack is asked, a value with a comma and === take the whole text."""

from __future__ import annotations

import itertools

import duckdb
import pytest

from workbench.filters import compile_filter, shown_sql
from workbench.tui.conditions import condition

NAMES = ("smb", "dcerpc", "mb", "s.b", "")
STACKS = [None, *(",".join(stack) for size in (1, 2, 3) for stack in itertools.permutations(NAMES, size))]


def kept(text: str) -> list[str | None]:
    """What the SQL keeps, and what the shown SQL keeps, which must be the same."""
    made = compile_filter(text)
    with duckdb.connect() as con:
        con.execute("CREATE TABLE flows AS SELECT unnest($a) AS service, 1 AS ts, 1 AS flow_id", {"a": STACKS})
        found = con.execute(f"SELECT service FROM flows WHERE {made.sql}", list(made.params)).fetchall()
        assert sorted(map(str, found)) == sorted(map(str, con.execute(shown_sql(made, ["service"])).fetchall()))
    return [row[0] for row in found]


@pytest.mark.parametrize("asked", ["smb", "mb", "s.b", "nfs", "", "smb,dcerpc", "s.b,mb"])
def test_equality_asks_every_name(asked: str) -> None:
    there = [stack for stack in STACKS if stack is not None]
    one = [stack for stack in there if (stack == asked if "," in asked else asked in stack.split(","))]
    rest = [stack for stack in there if stack not in one]
    assert kept(f'service == "{asked}"') == one
    assert kept(f'service in {{"{asked}", nobody}}') == one
    assert kept(f'service != "{asked}"') == rest
    assert kept(f'service not in {{"{asked}", nobody}}') == [None, *rest]
    assert kept(f'service === "{asked}"') == [stack for stack in there if stack == asked]
    assert kept(f'service !== "{asked}"') == [stack for stack in there if stack != asked]


@pytest.mark.parametrize("stack", ["smb", "smb,dcerpc"])
def test_keys_keep_the_stack_as_it_stands(stack: str) -> None:
    assert kept(condition("service", stack, keep=True)) == [stack]
    assert kept(condition("service", stack, keep=False)) == [one for one in STACKS if one != stack]
