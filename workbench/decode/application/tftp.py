"""Trivial File Transfer Protocol (RFC 1350): known at home by its requests."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (69,)
PROTOCOL: Final = Protocol(
    name="tftp",
    title="Trivial File Transfer Protocol",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature("udp", b"\0\x01", side="src", ports=_PORTS, strong=True),
        Signature("udp", b"\0\x02", side="src", ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 1350",
)
