"""One exported flow record as numbers: a row of SLOTS int64 values, the same for every format.

Kernels write these rows straight from the wire, whatever the template; the flow floor pairs them. Addresses are 128 bits in two
halves (as bit patterns), IPv4 mapped. ABSENT stands where an exporter does not say a value that 0 could mean.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

ABSENT: Final = -1

(
    SRC_HI,
    SRC_LO,
    DST_HI,
    DST_LO,
    SRC_PORT,
    DST_PORT,
    PROTO,
    START,  # ns since 1970
    END,
    PKTS,  # from src to dst since the last record of this flow
    BYTES,
    REVERSE_PKTS,  # from dst to src (RFC 5103, or initiator and responder counters)
    REVERSE_BYTES,
    FLAGS,  # TCP flags, ORed
    REVERSE_FLAGS,
    REASON,  # flowEndReason
    SAMPLING,  # 1 in N; 0 unknown
    SAMPLER,  # flowSamplerId or selectorId, by which options name the rate
    VLAN,
    INNER_VLAN,
    VNI,
    SRC_MAC,
    DST_MAC,
    VRF,
    VERDICT,  # one of VERDICTS
    RULE,
    ICMP,  # type << 8 | code
    DROPPED,  # packets dropped since the last record
    TOTAL_PKTS,  # since the flow began
    TOTAL_BYTES,
    LINK_BYTES,  # bytes of layer 2 frames
    OUTER_SRC_HI,
    OUTER_SRC_LO,
    OUTER_DST_HI,
    OUTER_DST_LO,
    TUNNEL,  # tunnelType as OVS numbers it
    IN_IF,
    OUT_IF,
    DIRECTION,  # 0 ingress, 1 egress
    BIFLOW,  # biflowDirection: 1 src is the initiator, 2 the reverse
    POINT,  # observationPointId
    DURATION,  # ms, where there is no end
    EXPORTER,  # number of the exporter, see `collector`
    DOMAIN,
    MESSAGE,  # number of the message it came in, from 1
    EXPORTED,  # ns: when the exporter sent it
    TOTAL_REVERSE_PKTS,
    TOTAL_REVERSE_BYTES,
) = range(48)
SLOTS: Final = 48

#: What VERDICT holds, beside ABSENT.
ALLOWED: Final = 1
DENIED: Final = 2
VERDICTS: Final = {ALLOWED: "allow", DENIED: "deny"}

#: tunnelType of OVS's records (enterprise 6876, element 891) as PACKET.tunnel numbers tunnels.
OVS_TUNNELS: Final = {1: 6, 2: 1, 7: 8}

_ZERO: Final = (SRC_HI, SRC_LO, DST_HI, DST_LO, SAMPLING, START, END, EXPORTER, DOMAIN, MESSAGE, EXPORTED)


def blank() -> NDArray[np.int64]:
    """A record of which nothing is known."""
    row = np.full(SLOTS, ABSENT, np.int64)
    row[list(_ZERO)] = 0
    return row
