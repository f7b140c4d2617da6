"""Compiling the flow table's kernels ahead of need."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Final

#: Modules with kernels that Python calls, and what they do; importing one compiles or loads them.
_MODULES: Final = (
    ("workbench.flows.index", "flow index"),
    ("workbench.flows.text", "address texts"),
    ("workbench.flows.community", "community ids"),
    ("workbench.flows.gather", "flow columns"),
    ("workbench.flows.update", "flow table"),
    ("workbench.flows.match", "finding packets"),
    ("workbench.flows.telemetry.kernels", "pairing records"),
)


def kernels() -> Iterator[tuple[str, Callable[[], None]]]:
    """(name, compile) of each group of kernels; compile imports it, which fills numba's cache."""
    for module, name in _MODULES:
        yield name, lambda module=module: _load(module)  # type: ignore[misc]


def _load(module: str) -> None:
    importlib.import_module(module)
