"""What tests of several modules here begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.push.resident.people import People
from tests.workflows.desk import Desk, at_desk


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def desk(tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Where a responder sits, with the keys of two people and one DPU."""
    with at_desk(tmp_path, people, monkeypatch) as one:
        yield one
