"""All samples indexed once for the tests of this folder."""

from __future__ import annotations

import pytest

from tests.sample_captures.indexed import TRUTHS, Indexed, index


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Indexed]:
    return index(TRUTHS, tmp_path_factory.mktemp("samples") / "case")
