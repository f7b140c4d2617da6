"""HTTP/2 in the clear (RFC 9113, 3.3): known by the preface that a client sends, and not read: its fields are compressed."""

from __future__ import annotations

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL = Protocol(
    name="http2",
    title="Hypertext Transfer Protocol 2, in the clear",
    framing=Framing(Cut.HEAD, keep=24),
    signatures=(Signature("tcp", b"PRI * HTTP/2.0\r\n", strong=True),),
    reference="RFC 9113, 3.3",
)
