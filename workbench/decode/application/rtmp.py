"""Real-Time Messaging Protocol (Adobe RTMP 1.0, 5.2): known at home by its handshake."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (1935,)
PROTOCOL: Final = Protocol(
    name="rtmp",
    title="Real-Time Messaging Protocol",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"\x03\0\0\0\0\0\0\0\0", mask=b"\xff\0\0\0\0\xff\xff\xff\xff", least=64, ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="Adobe RTMP 1.0, 5.2",
)
