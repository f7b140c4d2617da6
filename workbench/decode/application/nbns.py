"""The NetBIOS name service (RFC 1001, 1002): DNS's format, names as `workgroup<1b>`, whose suffix says what they are for."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.dns import HEADER, HEADER_MASK, batch_reader
from workbench.decode.application.protocol import Cut, Framing, Probe, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="nbns",
    title="NetBIOS Name Service",
    framing=Framing(Cut.DATAGRAM),
    signatures=(Signature("udp", HEADER, at=2, mask=HEADER_MASK, ports=(137,), probe=Probe.NBNS, least=12),),
    tables=("dns",),
    ports=(137,),
    batch=batch_reader,
    reference="RFC 1001, RFC 1002",
)
