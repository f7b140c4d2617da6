"""Multicast DNS (RFC 6762): DNS among neighbours. Announcements are rows without a query; answers to all belong to no query."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.dns import HEADER, HEADER_MASK, batch_reader
from workbench.decode.application.protocol import Cut, Framing, Probe, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="mdns",
    title="Multicast DNS",
    framing=Framing(Cut.DATAGRAM),
    signatures=(Signature("udp", HEADER, at=2, mask=HEADER_MASK, ports=(5353,), probe=Probe.DNS, least=12),),
    tables=("dns",),
    ports=(5353,),
    batch=batch_reader,
    reference="RFC 6762",
)
