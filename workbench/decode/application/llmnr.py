"""LLMNR (RFC 4795): DNS among Windows neighbours. Answers come from elsewhere than was asked: in a flow of their own."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.dns import HEADER, HEADER_MASK, batch_reader
from workbench.decode.application.protocol import Cut, Framing, Probe, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="llmnr",
    title="Link-Local Multicast Name Resolution",
    framing={"udp": Framing(Cut.DATAGRAM), "tcp": Framing(Cut.LENGTH, at=0, width=2, add=2)},
    signatures=(
        Signature("udp", HEADER, at=2, mask=HEADER_MASK, ports=(5355,), probe=Probe.DNS, least=12),
        Signature("tcp", HEADER, at=4, mask=HEADER_MASK, ports=(5355,), probe=Probe.DNS_TCP, least=14),
    ),
    tables=("dns",),
    ports=(5355,),
    batch=batch_reader,
    reference="RFC 4795",
)
