import importlib

from sample_captures.make.all import scripts


def test_every_truth_has_a_script_that_makes_it() -> None:
    found = scripts()
    assert {"esxi_lateral", "web", "names", "ssh", "windows", "guessing", "scans", "beacon", "exfil"} <= set(found)
    for name in found:
        assert callable(importlib.import_module(f"sample_captures.make.{name}").make)
