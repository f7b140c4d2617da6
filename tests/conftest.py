"""Kernels are compiled once for all tests: here, in worker processes and in programs that tests start."""

from __future__ import annotations

from workbench.workflows.kernels import prepare_kernel_cache

prepare_kernel_cache()  # before any test module imports a kernel, and inherited by every process
