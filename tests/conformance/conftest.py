"""One rule for every test here: without the shared set it is skipped, and fails where the set is not where it was said."""

from __future__ import annotations

import os

import pytest

from tests.conformance.captures import captures, folder, required


@pytest.fixture(scope="session", autouse=True)
def kernels() -> None:
    """Compiled kernels are kept where the program itself keeps them."""
    from workbench.workflows.kernels import prepare_kernel_cache

    if "NUMBA_CACHE_DIR" not in os.environ:
        prepare_kernel_cache()


@pytest.fixture(scope="session", autouse=True)
def capture_set(kernels: None) -> None:
    """Skip or fail where the set is not there."""
    if not captures():
        said = f"no captures under {folder()}: set WORKBENCH_CONFORMANCE"
        if required():
            pytest.fail(said)
        pytest.skip(said)
