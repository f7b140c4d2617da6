"""The hash index: open addressing, linear probing, eight bytes an entry.

An entry is the upper 32 bits of the key's hash and the slot plus one; 0 is free. Its place are the
topmost bits, so that doubling the index is one sequential pass that needs no flow row (about 3 ms
for a million entries). Deleting shifts back, so there are no tombstones. The hash is keyed by a random
seed, because whoever sends packets chooses the keys; it treats both ends alike, so that one probe
finds a flow from either direction. Rows are always compared in full.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import exported, kernel
from workbench.flows.memory import cold_at, entry_at, hot_at, inlined
from workbench.flows.rows import CONN_ONE_WAY

_M1: Final = np.uint64(0x9E3779B97F4A7C15)
_M2: Final = np.uint64(0xBF58476D1CE4E5B9)
_M3: Final = np.uint64(0x94D049BB133111EB)
_S32: Final = np.uint64(32)
_S29: Final = np.uint64(29)
_S31: Final = np.uint64(31)
_S16: Final = np.uint64(16)
_HIGH: Final = np.uint64(0xFFFFFFFF00000000)
_LOW: Final = np.uint64(0xFFFFFFFF)


@inlined
def network_key(scope: Any, tunnel: Any, vni: Any, vlan: Any, inner_vlan: Any) -> Any:
    """The part of the key that separates networks: (VNI + 1) << 24 | VLAN << 12 | inner VLAN.

    scope: 1 VNI, 2 VLAN, 3 both, 0 none. VLAN 0 only carries a priority (IEEE 802.1Q) and counts as none.
    """
    key = np.uint64(0)
    if (scope & 2) != 0:
        outer = np.int64(vlan)
        inner = np.int64(inner_vlan)
        if outer <= 0:
            outer, inner = inner, np.int64(0)
        if outer > 0:
            key = np.uint64((outer & 4095) << 12)
            if inner > 0:
                key |= np.uint64(inner & 4095)
    if (scope & 1) != 0 and tunnel != 0 and vni >= 0:
        key |= np.uint64((np.int64(vni) + 1) << 24)
    return key


@inlined
def _mix(value: Any) -> Any:
    value = (value ^ (value >> _S32)) * _M2
    return (value ^ (value >> _S29)) * _M3


@inlined
def hash_key(
    seed: Any,
    seed_2: Any,
    src_hi: Any,
    src_lo: Any,
    src_port: Any,
    dst_hi: Any,
    dst_lo: Any,
    dst_port: Any,
    proto: Any,
    network: Any,
) -> Any:
    """64-bit hash of a flow key, the same from both ends."""
    a = _mix((src_hi ^ seed) * _M1 + (src_lo ^ (np.uint64(src_port) * _M3)) + seed_2)
    b = _mix((dst_hi ^ seed) * _M1 + (dst_lo ^ (np.uint64(dst_port) * _M3)) + seed_2)
    value = (a + b) ^ (network * _M1) ^ ((np.uint64(proto) + seed) * _M2)
    value = _mix(value)
    return value ^ (value >> _S31)


@inlined
def packet_network(state: Any, packet: Any) -> Any:
    """Network key of a packet under the scope of the settings."""
    return network_key(state.scope, packet.tunnel, packet.vni, packet.vlan, packet.inner_vlan)


@inlined
def packet_hash(state: Any, packet: Any, network: Any) -> Any:
    """Hash of the key of a packet."""
    return hash_key(
        state.seed,
        state.seed_2,
        packet.src_hi,
        packet.src_lo,
        packet.src_port,
        packet.dst_hi,
        packet.dst_lo,
        packet.dst_port,
        packet.proto,
        network,
    )


@inlined
def find(state: Any, key_hash: Any, packet: Any, network: Any, one_way: Any) -> Any:
    """2 * slot + side of the flow a packet belongs to, or -1."""
    mask = state.index_rows - 1
    at = np.int64(key_hash >> np.uint64(64 - state.bits))
    tag = key_hash & _HIGH
    while True:
        entry = entry_at(state, at).value
        if entry == 0:
            return -1
        if (entry & _HIGH) == tag:
            slot = np.int64(entry & _LOW) - 1
            hot = hot_at(state, slot)
            if hot.network == network and hot.proto == packet.proto and ((hot.marks & CONN_ONE_WAY) != 0) == one_way:
                if (
                    hot.src_lo == packet.src_lo
                    and hot.dst_lo == packet.dst_lo
                    and hot.src_port == packet.src_port
                    and hot.dst_port == packet.dst_port
                    and hot.src_hi == packet.src_hi
                    and hot.dst_hi == packet.dst_hi
                ):
                    return 2 * slot
                if (
                    not one_way
                    and hot.src_lo == packet.dst_lo
                    and hot.dst_lo == packet.src_lo
                    and hot.src_port == packet.dst_port
                    and hot.dst_port == packet.src_port
                    and hot.src_hi == packet.dst_hi
                    and hot.dst_hi == packet.src_hi
                ):
                    return 2 * slot + 1
        at = (at + 1) & mask


@kernel
def insert(state: Any, key_hash: Any, slot: Any) -> Any:
    """Enter a slot; the caller keeps the index at most half full."""
    mask = state.index_rows - 1
    at = np.int64(key_hash >> np.uint64(64 - state.bits))
    while entry_at(state, at).value != 0:
        at = (at + 1) & mask
    entry_at(state, at).value = (key_hash & _HIGH) | np.uint64(slot + 1)
    cold_at(state, slot).tag = np.uint32(key_hash >> _S32)


@kernel
def remove(state: Any, slot: Any) -> Any:
    """Take a slot out and close the gap behind it."""
    mask = state.index_rows - 1
    shift = np.uint64(64 - state.bits)
    at = np.int64(cold_at(state, slot).tag) >> (32 - state.bits)
    wanted = np.uint64(slot + 1)
    while (entry_at(state, at).value & _LOW) != wanted:
        if entry_at(state, at).value == 0:
            return
        at = (at + 1) & mask
    following = at
    while True:
        following = (following + 1) & mask
        entry = entry_at(state, following).value
        if entry == 0:
            break
        home = np.int64(entry >> shift)
        if ((following - home) & mask) >= ((following - at) & mask):
            entry_at(state, at).value = entry
            at = following
    entry_at(state, at).value = np.uint64(0)


@exported("void(uint64[::1], uint64[::1], int64)")
def rehash(old: Any, new: Any, bits: Any) -> Any:
    """Enter everything of `old` into the empty, larger `new` of 2 ** bits entries."""
    mask = len(new) - 1
    shift = np.uint64(64 - bits)
    for i in range(len(old)):
        entry = old[i]
        if entry != 0:
            at = np.int64(entry >> shift)
            while new[at] != 0:
                at = (at + 1) & mask
            new[at] = entry
