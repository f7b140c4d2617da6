"""Open vSwitch Database (RFC 7047): known at home by its JSON."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (6640, 6641, 6642)
PROTOCOL: Final = Protocol(
    name="ovsdb",
    title="Open vSwitch Database",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b'{"', least=8, ports=_PORTS, strong=True),),
    ports=_PORTS,
    guests=("tls",),
    reference="RFC 7047",
)
