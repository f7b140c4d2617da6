"""SOCKS (RFC 1928): known at home by the client's first message.

What follows its few messages is somebody else's protocol; every byte of the beginning is a unit, so that TLS is noticed.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (1080,)
PROTOCOL: Final = Protocol(
    name="socks",
    title="SOCKS",
    framing=Framing(Cut.LENGTH, keep=1, most=600, width=1, mask=0, add=1),
    signatures=(
        Signature("tcp", b"\x05\0", mask=b"\xff\xf8", least=3, side="src", ports=_PORTS, strong=True),
        Signature("tcp", b"\x04\0", mask=b"\xff\xfc", least=9, side="src", ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 1928",
)
