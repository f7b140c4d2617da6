"""BFD (RFC 5880, 5881, 5883): known at home by its version and the length of a control packet."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (3784, 4784)
PROTOCOL: Final = Protocol(
    name="bfd",
    title="Bidirectional Forwarding Detection",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature("udp", b"\x20\0\0\x18", mask=b"\xe0\0\0\xf8", least=24, ports=_PORTS, strong=True),
        Signature("udp", b"\x20\x04\0\x20", mask=b"\xe0\x04\0\xe0", least=26, ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 5880",
)
