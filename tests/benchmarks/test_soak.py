from pathlib import Path

import pytest

from benchmarks.soak import slope, soak
from tests.capture_files import write_flows


def test_the_slope_is_the_growth_a_round() -> None:
    assert slope([5, 5, 5]) == pytest.approx(0)
    assert slope([0, 10, 20, 30]) == pytest.approx(10)
    assert slope([7]) == 0


@pytest.mark.slow
def test_indexing_again_and_again_keeps_memory_and_descriptors_flat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert soak(0, write_flows(tmp_path / "a.pcap", 2000)) == 0
    assert "growth a round" in capsys.readouterr().out
