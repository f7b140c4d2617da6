"""TACACS+ (RFC 8907): known at home by its version."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (49,)
PROTOCOL: Final = Protocol(
    name="tacacs",
    title="TACACS+",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"\xc0", mask=b"\xfe", least=12, ports=_PORTS, strong=True),),
    ports=_PORTS,
    reference="RFC 8907",
)
