"""The rows of the pairing table: one int64 row per flow, in which both directions of it gather.

Side 0 is the direction of the record that began the flow; who is the originator is decided when it ends.
"""

from __future__ import annotations

from typing import Final

# What identifies it, as its first record has it.
(
    A_HI,
    A_LO,
    B_HI,
    B_LO,
    A_PORT,
    B_PORT,
    PROTO,
    EXPORTER,
    DOMAIN,
    NETWORK,  # see `network_of`
    VRF,
    ONE_WAY,  # 1: an ICMP type that is not answered
    HASH,
    NEXT,  # slot of the next flow in the same bucket, -1 at the end
    N,  # number of the flow among its exporter's
    TOLD,  # the exporter's clock when it was last told of, ns
    KNOWN,  # bits: 1 and 2, sides that were told; 4, a record told both; 8, the initiator was told, 16: it is side 1
    ICMP,
    SAMPLING,
    VLAN,
    INNER_VLAN,
    VNI,
    A_MAC,
    B_MAC,
    OUTER_A_HI,
    OUTER_A_LO,
    OUTER_B_HI,
    OUTER_B_LO,
    TUNNEL,
    VERDICT,
    RULE,
) = range(31)
#: Per side, at SIDE + side * SIDE_WIDTH.
SIDE: Final = 31
START, END, PKTS, BYTES, FLAGS, REASON, IN_IF, OUT_IF, DIRECTION, PIECES = range(10)
SIDE_WIDTH: Final = 10
WIDTH: Final = SIDE + 2 * SIDE_WIDTH

TOLD_A: Final = 1
TOLD_B: Final = 2
TOLD_BOTH: Final = 4
INITIATOR: Final = 8
INITIATOR_B: Final = 16

#: Rows of pieces: slot of the flow, side, start (ns), packets, bytes.
PIECE_WIDTH: Final = 5

#: Numbers of the table that its kernels share.
FREE, LIVE, PIECE_COUNT, MERGED, NEWEST = range(5)
STATE_WIDTH: Final = 5

#: VRF ids of the default table: 0, and what IOS XR calls it.
DEFAULT_VRFS: Final = (0, 0x60000000)
