"""RDP's UDP transport (MS-RDPEUDP, 2.2): known at home by its SYN, padded to the path's MTU."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="rdpeudp",
    title="RDP over UDP",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature(
            "udp", b"\xff\xff\xff\xff\0\0\0\x01", mask=b"\xff\xff\xff\xff\0\0\0\x01", least=1132, ports=(3389,), strong=True
        ),
    ),
    ports=(3389,),
    reference="MS-RDPEUDP, 2.2.2.1",
)
