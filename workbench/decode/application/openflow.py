"""OpenFlow (OpenFlow switch specification 1.5.1): known at home by a HELLO.

Its messages are cut, so that none is read beyond the first.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (6653, 6633)
PROTOCOL: Final = Protocol(
    name="openflow",
    title="OpenFlow",
    framing=Framing(Cut.LENGTH, keep=16, most=4, at=2),
    signatures=(Signature("tcp", b"\0\0\0", mask=b"\xf8\xff\xff", least=8, ports=_PORTS, strong=True),),
    ports=_PORTS,
    guests=("tls",),
    reference="OpenFlow switch specification 1.5.1",
)
