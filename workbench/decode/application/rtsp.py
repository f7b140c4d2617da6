"""Real-Time Streaming Protocol (RFC 7826): known by a request to its addresses, or a response."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="rtsp",
    title="Real-Time Streaming Protocol",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"OPTIONS rtsp:", strong=True),
        Signature("tcp", b"DESCRIBE rtsp:", strong=True),
        Signature("tcp", b"SETUP rtsp:", strong=True),
        Signature("tcp", b"RTSP/1.", strong=True),
    ),
    ports=(554, 8554),
    reference="RFC 7826",
)
