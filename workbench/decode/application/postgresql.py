"""PostgreSQL (PostgreSQL documentation, 53.7): known by the client's first packet: a start, or a request for encryption.

The answer to the request is one byte without a length, so every byte of the beginning is a unit: TLS is noticed behind it.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="postgresql",
    title="PostgreSQL",
    framing=Framing(Cut.LENGTH, keep=1, most=16, width=1, mask=0, add=1),
    signatures=(
        Signature("tcp", b"\0\0\0\x08\x04\xd2\x16\x2f", side="src", strong=True),
        Signature("tcp", b"\0\0\0\x08\x04\xd2\x16\x30", side="src", strong=True),
        Signature("tcp", b"\0\0\0\x10\x04\xd2\x16\x2e", side="src", strong=True),
        Signature("tcp", b"\0\0\0\0\0\x03\0\0", mask=b"\xff\xff\0\0\xff\xff\xff\xff", side="src", strong=True),
    ),
    ports=(5432,),
    guests=("tls",),
    reference="PostgreSQL documentation, 53.7",
)
