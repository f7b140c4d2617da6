"""What a collector makes of whatever comes: more of the same is `python -m tests.fuzz.fuzz_telemetry`."""

from __future__ import annotations

import pytest

from tests.fuzz.fuzz_telemetry import one


@pytest.mark.parametrize("seed", range(1000, 1012))
def test_damaged_messages_of_several_exporters_stay_within_bounds(seed: int) -> None:
    one(seed)
