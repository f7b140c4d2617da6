"""Samples indexed once for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.detections.shipped import Cases


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    made = Cases(tmp_path_factory.mktemp("detections"))
    yield made
    made.close()
