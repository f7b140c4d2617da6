"""Internet Message Access Protocol (RFC 9051): mailboxes: known by the server's greeting.

Its lines are cut so that STARTTLS is noticed; none of them is read.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="imap",
    title="Internet Message Access Protocol",
    framing=Framing(Cut.LINES, keep=256, most=64),
    signatures=(
        Signature("tcp", b"* OK", side="dst", strong=True),
        Signature("tcp", b"* PREAUTH", side="dst", strong=True),
        Signature("tcp", b"* BYE ", side="dst", strong=True),
    ),
    ports=(143,),
    reference="RFC 9051",
)
