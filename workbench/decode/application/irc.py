"""Internet Relay Chat (RFC 2812): known by what a client registers with, or by a server's first line.

Its lines are cut so that STARTTLS is noticed; none of them is read.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Probe, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="irc",
    title="Internet Relay Chat",
    framing=Framing(Cut.LINES, keep=256, most=64),
    signatures=(
        Signature("tcp", b"NICK ", side="src", strong=True),
        Signature("tcp", b"CAP LS", side="src", strong=True),
        Signature("tcp", b"USER ", side="src", probe=Probe.IRC, strong=True),
        Signature("tcp", b":", side="dst", least=8, probe=Probe.IRC, strong=True),
    ),
    ports=(6667,),
    reference="RFC 2812",
)
