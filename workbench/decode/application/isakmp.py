"""Internet Key Exchange (RFC 7296, 2408): known at home by its version, behind a marker where it passes address translation."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (500,)
PROTOCOL: Final = Protocol(
    name="isakmp",
    title="Internet Key Exchange",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature("udp", b"\x10", at=17, mask=b"\xff", least=28, ports=_PORTS, strong=True),
        Signature("udp", b"\x20", at=17, mask=b"\xff", least=28, ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 7296, 2408",
)
