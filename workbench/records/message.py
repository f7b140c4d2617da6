"""The row in which the flow table hands a piece of what was said to the application protocols.

A message is the beginning of a protocol's unit: a datagram, a length-prefixed record, a request's head, the first bytes of
a direction. Its bytes lie in an arena beside the rows, are read once and forgotten: only what a protocol's table has a
column for is kept.
"""

from __future__ import annotations

from typing import Final

import numpy as np

#: MESSAGE.flags, ORed
CUT: Final = 1  # fewer bytes were captured, or kept, than the unit has: `size` against `whole`
BODY_END: Final = 2  # no bytes: the body behind the message of the same number is over, `whole` bytes of it were seen
ENCRYPTED: Final = 4  # what follows it in its direction is encrypted; or, without bytes, a segment of `whole` such bytes

#: One message, in the order in which they became complete. 64 bytes.
MESSAGE: Final = np.dtype(
    [
        ("n", np.int64),  # number of its flow within the source
        ("ts", np.int64),  # ns: the packet that began it
        ("at", np.int64),  # where its bytes start in the arena
        ("whole", np.int64),  # bytes the unit has by its own header; where that is not known, `size`
        ("size", np.uint32),  # bytes in the arena
        ("number", np.uint32),  # counts from 0 on its side of the flow
        ("stream", np.int32),  # row of STREAM in the flow table: where services are noted
        ("src_port", np.uint16),  # originator's
        ("dst_port", np.uint16),
        ("protocol", np.uint8),  # its code in the registry
        ("side", np.uint8),  # 0 the originator says it, 1 the responder
        ("flags", np.uint8),
        ("proto", np.uint8),  # IANA number of the transport
        ("vouched", np.uint8),  # 1: its signature leaves no doubt; 0: whoever reads it decides
        ("within", np.uint8),  # code of the protocol that its direction began with, where that is another one; 0
    ],
    align=True,
)
