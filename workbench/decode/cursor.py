"""Where a packet's decoding stands: a row of integers that every layer's kernel reads and moves on.

The row is allocated once per chunk. POS is the next byte to read; END the first byte behind what was
captured; WIRE the first byte behind what was there on the wire, which may lie behind END and outside the
buffer. Each layer narrows END and WIRE to its own length field and never widens them.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.bits import Numbers, kernel

POS: Final = 0
END: Final = 1
WIRE: Final = 2
TYPE: Final = 3  # EtherType or protocol number of what stands at POS
DEPTH: Final = 4  # tunnels entered
SAVED: Final = 5  # 1 when the outer row is kept, to fall back on
REASON: Final = 6  # why decoding stopped
DETAIL: Final = 7  # the value it stopped at
WHOLE: Final = 8  # 1 when every byte of the innermost IP packet was captured
VERIFY: Final = 9  # 1 when checksums are wanted
LAYERS: Final = 10  # layers walked, against endless stacks
SLOTS: Final = 11

#: What stands at POS: the answer of every layer's kernel.
FAIL: Final = 0
DONE: Final = 1
K_ETHERNET: Final = 2
K_TYPE: Final = 3
K_IP: Final = 4
K_TRANSPORT: Final = 5
K_PPP: Final = 6
K_LLC: Final = 7
K_MPLS: Final = 8
K_ARP: Final = 9
K_NSH: Final = 10

#: More layers than any honest packet has; a stack of a thousand VLAN tags ends here.
MAX_LAYERS: Final = 64


@kernel
def fail(w: Numbers, reason: int, detail: int) -> int:
    """Stop here: the packet, or what is inside its tunnel, is not decoded."""
    w[REASON] = reason
    w[DETAIL] = detail
    return FAIL
