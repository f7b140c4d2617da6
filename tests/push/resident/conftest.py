"""A resident in a folder of its own, with a dataplane in memory and clocks that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.push.resident.box import Box, boxed
from tests.push.resident.people import People


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def box(tmp_path: Path, people: People) -> Iterator[Box]:
    with boxed(tmp_path / "dpu", people) as one:
        yield one
