"""Kernels are compiled once for all tests: here, in worker processes and in programs that tests start."""

from __future__ import annotations

from hypothesis import settings

from workbench.workflows.kernels import prepare_kernel_cache

settings.register_profile("house", deadline=None)  # a busy machine is no failure
settings.load_profile("house")
prepare_kernel_cache()  # before any test module imports a kernel, and inherited by every process
