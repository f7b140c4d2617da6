"""Extensible Messaging and Presence Protocol (RFC 6120): known by the opening of its stream.

It has no units that could be counted, so every byte of the beginning is one: STARTTLS is noticed between any two.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (5222, 5269)
PROTOCOL: Final = Protocol(
    name="xmpp",
    title="Extensible Messaging and Presence Protocol",
    framing=Framing(Cut.LENGTH, keep=1, most=1024, width=1, mask=0, add=1),
    signatures=(
        Signature("tcp", b"<stream:stream ", strong=True),
        Signature("tcp", b"<?xml ", ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 6120",
)
