"""Simple Mail Transfer Protocol (RFC 5321): mail on its way between servers: known by a greeting.

Its lines are cut so that STARTTLS is noticed; none of them is read.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (25, 587, 2525)
PROTOCOL: Final = Protocol(
    name="smtp",
    title="Simple Mail Transfer Protocol",
    framing=Framing(Cut.LINES, keep=256, most=64),
    signatures=(
        Signature("tcp", b"EHLO ", side="src", strong=True),
        Signature("tcp", b"HELO ", side="src", strong=True),
        Signature("tcp", b"LHLO ", side="src", strong=True),
        Signature("tcp", b"220 ", side="dst", ports=_PORTS, strong=True),
        Signature("tcp", b"220-", side="dst", ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 5321",
)
