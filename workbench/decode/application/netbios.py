"""The NetBIOS datagram service (RFC 1002, 4.4): known at home by its type and the port that it names."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="netbios-dgm",
    title="NetBIOS Datagram Service",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature("udp", b"\x10\0\0\0\0\0\0\0\0\x8a", mask=b"\xf8\xf0\0\0\0\0\0\0\xff\xff", least=14, ports=(138,), strong=True),
    ),
    ports=(138,),
    reference="RFC 1002, 4.4",
)
