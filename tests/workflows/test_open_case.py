"""Which case is shown for what a person names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture_files import write_flows
from workbench.workflows.open_case import plan_open


def test_other_settings_of_flows_are_another_cached_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second open is instant only where it would show the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = tmp_path / "settings.toml"
    monkeypatch.setenv("WORKBENCH_CONFIG", str(settings))
    capture = str(write_flows(tmp_path / "a.pcap", 1))
    cases = []
    for text in ("", "", "[flows]\nudp_idle = 1.0\n", '[flows]\nkey_scope = "none"\n', "[cache]\nmax_size_mb = 1000\n"):
        settings.write_text(text)
        cases.append(plan_open((capture,), None).case)
    assert cases[0] == cases[1] == cases[4]
    assert len(set(cases)) == 3
