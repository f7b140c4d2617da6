"""conn_state from what flow records tell: the flags of each direction, ORed, and whether each direction is known.

Order is lost in ORed flags, so only what follows from them whatever the order is said. Null where only one direction was told and
nobody said that there was no other: an exporter that sees one direction cannot know what was answered.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

CONN_STATES: Final = ("OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR")
_OTH, _S0, _S1, _SF, _REJ, _S2, _S3, _RSTO, _RSTR, _RSTOS0, _RSTRH, _SH, _SHR = range(13)
_TCP, _UDP = 6, 17
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16


def conn_states(
    proto: NDArray[np.int64], flags: NDArray[np.int64], packets: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Codes of CONN_STATES, -1 where it cannot be known.

    flags, packets: 2 x flows, the originator's and the responder's. known: whether both directions were told of.
    """
    udp = np.where(packets[1] == 0, _S0, np.where(packets[0] == 0, _SHR, _SF))
    told = (flags[0] > 0) | (flags[1] > 0)
    tcp = np.where(told, _tcp(np.maximum(flags, 0), packets), -1)
    state = np.where(proto == _TCP, tcp, np.where(proto == _UDP, udp, _OTH))
    ported = (proto == _TCP) | (proto == _UDP)
    return np.where(ported & ~known, -1, state).astype(np.int32)


def _tcp(flags: NDArray[np.int64], packets: NDArray[np.int64]) -> NDArray[np.int64]:
    """First match wins, as for packets (DESIGN, conn_state)."""
    o, r = flags
    answered = packets[1] > 0
    o_syn, r_syn = o & _SYN != 0, r & _SYN != 0
    o_fin, r_fin = o & _FIN != 0, r & _FIN != 0
    o_rst, r_rst = o & _RST != 0, r & _RST != 0
    closed = o_fin & r_fin
    rules = [
        (~answered & o_syn & o_rst, _RSTOS0),
        (~answered & o_syn & o_fin, _SH),
        (~answered & o_syn, _S0),
        (~answered, _OTH),
        (r_rst & ~r_syn & (o & _FIN == 0) & o_syn & (o & _ACK == 0), _REJ),
        (closed & o_syn & r_syn, _SF),
        (r_rst & ~o_rst & o_syn & r_syn, _RSTR),
        (o_rst & ~r_rst & o_syn & r_syn, _RSTO),
        (o_rst | r_rst, _OTH),
        (o_syn & r_syn & o_fin, _S2),
        (o_syn & r_syn & r_fin, _S3),
        (o_syn & r_syn, _S1),
        (closed, _SF),
    ]
    return np.select([rule for rule, _ in rules], [np.int64(code) for _, code in rules], np.int64(_OTH))
