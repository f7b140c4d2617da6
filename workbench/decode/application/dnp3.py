"""Distributed Network Protocol 3 (IEEE 1815): known at home by the start of its frames."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (20000,)
PROTOCOL: Final = Protocol(
    name="dnp3",
    title="Distributed Network Protocol 3",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"\x05\x64", least=10, ports=_PORTS, strong=True),),
    ports=_PORTS,
    reference="IEEE 1815",
)
