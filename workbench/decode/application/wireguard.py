"""WireGuard (WireGuard white paper, 5.4): known at home by the first message of its handshake, and of the answer."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (51820,)
PROTOCOL: Final = Protocol(
    name="wireguard",
    title="WireGuard",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature("udp", b"\x01\0\0\0", least=148, ports=_PORTS, strong=True),
        Signature("udp", b"\x02\0\0\0", least=92, ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="WireGuard white paper, 5.4",
)
