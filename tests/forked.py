"""Decoding processes forked from one that has loaded the kernels.

The program spawns them, and each loads numba and its kernels anew: a CPU second for a capture of forty packets, in some
two hundred tests whose subject is what comes after. tests/workflows/test_ingest.py and every test that starts the
program have them as the program does.
"""

from __future__ import annotations

import multiprocessing
import os
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

#: As it is before a test makes it its own: the process that is forked from outlives it.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


class Forked:
    """In place of the module `multiprocessing` where workers are started."""

    def get_context(self, _: str) -> multiprocessing.context.ForkServerContext:
        """The context that forks, whichever was asked for."""
        _start()
        return multiprocessing.get_context("forkserver")


@cache
def _start() -> None:
    multiprocessing.set_forkserver_preload(["workbench.workflows.worker", "workbench.workflows.pipeline"])
    kernels = {name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ}
    with mock.patch.dict(os.environ, {**ENVIRONMENT, **kernels}, clear=True):
        forkserver.ensure_running()
