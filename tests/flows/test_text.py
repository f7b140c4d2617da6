from __future__ import annotations

import ipaddress

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.flows.text import IP_ROOM, MAC_ROOM, ip_blobs, ip_texts, mac_texts

WORDS = st.sampled_from((0, 0, 0, 1, 0xFFFF, 0xA, 0xDB8, 0x2001, 0x100))
SIX = st.one_of(
    st.integers(0, 2**128 - 1), st.lists(WORDS, min_size=8, max_size=8).map(lambda w: sum(x << 16 * i for i, x in enumerate(w)))
)


def canonical(value: int) -> str:
    address = ipaddress.IPv6Address(value)
    return str(address.ipv4_mapped or address)


@given(st.lists(st.tuples(SIX | st.integers(0xFFFF00000000, 0xFFFFFFFFFFFF), st.booleans()), max_size=20))
@example([(0, True), (1, True), (0xFFFF00000000, True), (0xFFFF7F000001, False)])
def test_addresses_as_rfc_5952_says(addresses: list[tuple[int, bool]]) -> None:
    high = np.array([a >> 64 for a, _ in addresses], np.uint64)
    low = np.array([a & 2**64 - 1 for a, _ in addresses], np.uint64)
    present = np.array([p for _, p in addresses], np.uint8)
    offsets = np.empty(len(addresses) + 1, np.int32)
    data = np.zeros(len(addresses) * IP_ROOM + 1, np.uint8)
    used = ip_texts(high, low, present, offsets, data)
    text = data.tobytes()
    got = [text[offsets[i] : offsets[i + 1]].decode() for i in range(len(addresses))]
    assert got == [canonical(a) if p else "" for a, p in addresses]
    assert used == offsets[-1]
    blobs = np.empty(16 * len(addresses), np.uint8)
    ip_blobs(high, low, blobs)
    assert blobs.tobytes() == b"".join(a.to_bytes(16) for a, _ in addresses)


@given(st.lists(st.integers(-1, 2**48 - 1), max_size=20))
def test_hardware_addresses(macs: list[int]) -> None:
    present = np.empty(len(macs), np.uint8)
    offsets = np.empty(len(macs) + 1, np.int32)
    data = np.zeros(len(macs) * MAC_ROOM + 1, np.uint8)
    mac_texts(np.array(macs, np.int64), present, offsets, data)
    text = data.tobytes()
    for i, mac in enumerate(macs):
        assert bool(present[i]) == (mac >= 0)
        assert text[offsets[i] : offsets[i + 1]].decode() == (mac.to_bytes(6).hex(":") if mac >= 0 else "")
