from __future__ import annotations

from workbench.flows import warm


def test_every_group_of_kernels_compiles_by_name() -> None:
    names = []
    for name, compile_kernels in warm.kernels():
        compile_kernels()
        names.append(name)
    assert "flow table" in names
    assert len(set(names)) == len(names)
