"""File Transfer Protocol (RFC 959): control connections, known by what servers call themselves, or at home by any greeting.

Its lines are cut so that STARTTLS is noticed; none of them is read.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (21, 2121)
PROTOCOL: Final = Protocol(
    name="ftp",
    title="File Transfer Protocol",
    framing=Framing(Cut.LINES, keep=256, most=64),
    signatures=(
        Signature("tcp", b"220 (vsFTPd", side="dst", strong=True),
        Signature("tcp", b"220 ProFTPD", side="dst", strong=True),
        Signature("tcp", b"220-FileZilla", side="dst", strong=True),
        Signature("tcp", b"220 Microsoft FT", side="dst", strong=True),
        Signature("tcp", b"220 ", side="dst", ports=_PORTS, strong=True),
        Signature("tcp", b"220-", side="dst", ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    stays=True,
    reference="RFC 959",
)
