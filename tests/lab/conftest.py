"""The lab as a fixture. A test leaves it as it found it; one that can't makes its own with ``with DpuLab()``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.dataplane import DpuLab


@pytest.fixture(scope="session")
def dpu_lab() -> Iterator[DpuLab]:
    """Three DPUs and what is behind them, up once for all tests of this process."""
    with DpuLab() as lab:
        yield lab
