"""RADIUS (RFC 2865): known at home by its codes."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (1812, 1813, 1645, 1646)
PROTOCOL: Final = Protocol(
    name="radius",
    title="RADIUS",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(Signature("udp", b"\0", mask=b"\xf0", least=20, ports=_PORTS, strong=True),),
    ports=_PORTS,
    reference="RFC 2865",
)
