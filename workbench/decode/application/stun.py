"""Session Traversal Utilities for NAT, and TURN (RFC 8489): known by its magic cookie, at home without it (RFC 3489)."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (3478, 3479)
PROTOCOL: Final = Protocol(
    name="stun",
    title="Session Traversal Utilities for NAT, and TURN",
    framing={"tcp": Framing(Cut.HEAD, keep=16), "udp": Framing(Cut.DATAGRAM, keep=16, most=1)},
    signatures=(
        Signature("tcp", b"\0\0\0\0\x21\x12\xa4\x42", mask=b"\xc0\0\0\x03\xff\xff\xff\xff", least=20, strong=True),
        Signature("udp", b"\0\0\0\0\x21\x12\xa4\x42", mask=b"\xc0\0\0\x03\xff\xff\xff\xff", least=20, strong=True),
        Signature("udp", b"\0\x01\0\0", mask=b"\xfe\xef\xff\x03", least=20, ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 8489",
)
