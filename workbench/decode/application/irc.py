"""Internet Relay Chat (RFC 2812): known by what a client registers with.

Its lines are cut so that STARTTLS is noticed; none of them is read.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="irc",
    title="Internet Relay Chat",
    framing=Framing(Cut.LINES, keep=256, most=64),
    signatures=(
        Signature("tcp", b"NICK ", side="src", strong=True),
        Signature("tcp", b"CAP LS", side="src", strong=True),
    ),
    ports=(6667,),
    reference="RFC 2812",
)
