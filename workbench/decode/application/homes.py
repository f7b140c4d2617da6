"""Which protocols are at home on which port, and whether a flow contradicts that.

A flow contradicts its port where what was recognised on the outside (`tls` of `tls,http`) is at home on neither end's port,
and either the responder's port is another protocol's home, or the protocol stays at home (`Protocol.stays`): SSH on 443 and
on 2222, HTTP on 443, TLS on 22; not HTTP on 5000, which is nobody's. The originator's port counts only where the responder's
is 1024 or above (an answer whose question was not seen): a source port is anybody's choice.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from workbench.decode.application.registry import protocols

#: IP protocol numbers of the transports.
TRANSPORTS: Final = {"tcp": 6, "udp": 17, "sctp": 132}
#: Responder's ports below this are services' alone (RFC 6335: system ports).
SYSTEM_PORTS: Final = 1024


@cache
def homes() -> dict[tuple[int, int], tuple[str, ...]]:
    """By IP protocol number and port, whose home it is: those whose port it is by name, then their guests."""
    owners: dict[tuple[int, int], dict[str, None]] = {}
    guests: dict[tuple[int, int], dict[str, None]] = {}
    for protocol in protocols():
        for transport in {signature.transport for signature in protocol.signatures}:
            for port in protocol.ports:
                key = (TRANSPORTS[transport], port)
                owners.setdefault(key, {})[protocol.name] = None
                guests.setdefault(key, {}).update(dict.fromkeys(protocol.guests))
    return {key: tuple(owners[key] | guests[key]) for key in sorted(owners)}


@cache
def stayers() -> frozenset[str]:
    """Protocols that are said wherever they are away from home."""
    return frozenset(protocol.name for protocol in protocols() if protocol.stays)


def unexpected(service: str | None, proto: int | None, src_port: int | None, dst_port: int | None) -> tuple[str, ...] | None:
    """None where a flow's service is where one expects it; else whose home the responder's port is, empty for nobody's.

    service: as in `flows.service`. What is of no known transport, port or protocol contradicts nothing.
    """
    if not service or proto is None or src_port is None or dst_port is None or proto not in TRANSPORTS.values():
        return None
    outside = service.split(",", 1)[0]
    if outside not in _known():
        return None
    here = homes().get((proto, dst_port), ())
    if outside in here or (dst_port >= SYSTEM_PORTS and outside in homes().get((proto, src_port), ())):
        return None
    return here if here or outside in stayers() else None


@cache
def _known() -> frozenset[str]:
    return frozenset(protocol.name for protocol in protocols())
