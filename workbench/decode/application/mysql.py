"""MySQL (MySQL internals, protocol handshake version 10): known by the server's greeting.

Its packets are counted so that the change to TLS is noticed.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="mysql",
    title="MySQL",
    framing=Framing(Cut.LENGTH, keep=16, most=8, width=3, add=4, little=True),
    signatures=(Signature("tcp", b"\0\0\0\0\x0a\x30", mask=b"\0\xff\xff\xff\xff\xf0", side="dst", strong=True),),
    ports=(3306,),
    reference="MySQL internals, protocol handshake version 10",
)
