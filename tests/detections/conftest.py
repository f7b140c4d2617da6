"""Samples indexed once for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.detections.shipped import Cases
from tests.sample_captures.indexed import FOLDER
from workbench.store.reader import CaseReader
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    made = Cases(tmp_path_factory.mktemp("detections"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseReader]:
    """All samples in one case, each a source of its own: for every question that is shipped."""
    case = tmp_path_factory.mktemp("sampled") / "case"
    captures = tuple(str(path) for path in sorted(FOLDER.glob("*.pcapng")))
    index_sources(IndexRequest(captures, case, hash=False, join="never"))
    with CaseReader(case) as reader:
        yield reader
