"""Gearman (Gearman protocol): known by its request's magic."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="gearman",
    title="Gearman",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"\0REQ\0\0\0", strong=True),
        Signature("tcp", b"\0RES\0\0\0", strong=True),
    ),
    ports=(4730,),
    reference="Gearman protocol",
)
