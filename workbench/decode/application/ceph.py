"""Ceph (Ceph network protocol): known by its banner."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="ceph",
    title="Ceph",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"ceph v", strong=True),),
    ports=(6789, 3300, 6800),
    reference="Ceph network protocol",
)
