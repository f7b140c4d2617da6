"""OpenVPN (OpenVPN protocol): known at home by the reset that opens its control channel."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (1194,)
PROTOCOL: Final = Protocol(
    name="openvpn",
    title="OpenVPN",
    framing={"tcp": Framing(Cut.HEAD, keep=16), "udp": Framing(Cut.DATAGRAM, keep=16, most=1)},
    signatures=(
        Signature("udp", b"\x38", least=14, side="src", ports=_PORTS, strong=True),
        Signature("udp", b"\x40", least=14, side="dst", ports=_PORTS, strong=True),
        Signature("tcp", b"\0\0\x38", mask=b"\xff\0\xff", least=16, side="src", ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="OpenVPN protocol",
)
