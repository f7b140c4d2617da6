from __future__ import annotations

import importlib
from pathlib import Path

import workbench
from workbench.flows import warm


def test_every_module_whose_kernels_python_calls_is_listed() -> None:
    here = Path(workbench.__file__).parent
    holding = {p for p in (here / "flows").rglob("*.py") if "\n@exported(" in p.read_text()}
    listed = {here.parent / Path(*module.split(".")).with_suffix(".py") for _, module in warm.MODULES}
    assert holding == listed
    assert holding


def test_every_group_of_kernels_compiles_by_name() -> None:
    for _, module in warm.MODULES:
        importlib.import_module(module)
    names = [name for name, _ in warm.MODULES]
    assert len(set(names)) == len(names)
