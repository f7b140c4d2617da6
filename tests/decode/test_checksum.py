from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.wire import ones
from workbench.decode.checksum import fold, sum16


@given(st.binary(max_size=300), st.binary(max_size=9), st.binary(max_size=9))
@settings(deadline=None)
def test_the_sum_is_rfc_1071s_at_any_alignment(data: bytes, before: bytes, behind: bytes) -> None:
    buf = np.frombuffer(before + data + behind, np.uint8)
    got, want = sum16(buf, len(before), len(data)), ones(data)
    assert got % 0xFFFF == want % 0xFFFF
    assert (got == 0) == (not any(data))


def test_large_and_extreme() -> None:
    data = np.full(200_001, 0xFF, np.uint8)
    assert sum16(data, 1, 200_000) == 0xFFFF
    assert sum16(data, 0, 200_001) % 0xFFFF == 0xFF00
    assert fold(0) == 0
    assert fold(0xFFFF_FFFF_FFFF) == 0xFFFF
    assert fold(0x1_0000) == 1
