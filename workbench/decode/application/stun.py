"""Session Traversal Utilities for NAT, and TURN (RFC 8489): known by its magic cookie."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="stun",
    title="Session Traversal Utilities for NAT, and TURN",
    framing={"tcp": Framing(Cut.HEAD, keep=16), "udp": Framing(Cut.DATAGRAM, keep=16, most=1)},
    signatures=(
        Signature("tcp", b"\0\0\0\0\x21\x12\xa4\x42", mask=b"\xc0\0\0\x03\xff\xff\xff\xff", least=20, strong=True),
        Signature("udp", b"\0\0\0\0\x21\x12\xa4\x42", mask=b"\xc0\0\0\x03\xff\xff\xff\xff", least=20, strong=True),
    ),
    ports=(3478,),
    reference="RFC 8489",
)
