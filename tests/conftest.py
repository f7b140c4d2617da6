"""Kernels are compiled once for all tests: here, in worker processes and in programs that tests start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.forked import Forked
from workbench.workflows.kernels import prepare_kernel_cache

settings.register_profile("house", deadline=None)  # a busy machine is no failure
settings.load_profile("house")
prepare_kernel_cache()  # before any test module imports a kernel, and inherited by every process


@pytest.fixture(scope="session", autouse=True)
def forked_workers() -> Iterator[None]:
    """Decoding processes do not load their kernels one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.workflows.pool.multiprocessing", Forked())
        yield


@pytest.fixture
def spawned_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding processes are started as the program starts them."""
    import multiprocessing

    monkeypatch.setattr("workbench.workflows.pool.multiprocessing", multiprocessing)
