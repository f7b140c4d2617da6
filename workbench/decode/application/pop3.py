"""Post Office Protocol 3 (RFC 1939): mailboxes: known by the server's greeting. What says +OK without a word behind is Redis.

Its lines are cut so that STARTTLS is noticed; none of them is read.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (110,)
PROTOCOL: Final = Protocol(
    name="pop3",
    title="Post Office Protocol 3",
    framing=Framing(Cut.LINES, keep=256, most=64),
    signatures=(
        Signature("tcp", b"+OK ", side="dst", strong=True),
        Signature("tcp", b"+OK", side="dst", ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 1939",
)
