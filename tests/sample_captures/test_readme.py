"""The README's filters are filters, and each shows something of the sample it is said of."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.sample_captures.indexed import FOLDER, TRUTHS, Indexed
from workbench.workflows.show import list_flows, reading

NAMES = {path.stem for path in TRUTHS}


def told() -> Iterator[tuple[str, str]]:
    """(sample, filter) of every row of a table that stands under a sample's heading."""
    name = ""
    for line in (FOLDER / "README.md").read_text().splitlines():
        if line.startswith("## "):
            name = line[3:].strip()
        elif line.startswith("|") and name in NAMES:
            yield from ((name, text) for text in re.findall(r"`([^`]+)`", line.rsplit(" | ", 1)[-1]))


def test_every_sample_is_told_of() -> None:
    text = (FOLDER / "README.md").read_text()
    assert {name for name in NAMES if not re.search(rf"\b{name}\b(?!-)", text)} == set()
    assert len({name for name, _ in told()}) > 10


@pytest.mark.parametrize(("name", "text"), told())
def test_a_filter_shows_some_flows_and_not_all(samples: dict[str, Indexed], name: str, text: str) -> None:
    sample = samples[name]
    own = f"({text}) && source_id == {sample.source['source_id']}"
    with reading(sample.case) as case, list_flows(case, ("flow_id",), None, own) as some:
        shown = sum(batch.num_rows for batch in some)
    assert 0 < shown < len(sample.flows)
