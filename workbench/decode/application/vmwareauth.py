"""VMware authentication daemon (VMware, ports and protocols of ESXi and vCenter).

Consoles and migrations of ESXi on port 902: known by the daemon's greeting.
Its lines are cut so that STARTTLS is noticed; none of them is read.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="vmware-auth",
    title="VMware authentication daemon",
    framing=Framing(Cut.LINES, keep=256, most=64),
    signatures=(Signature("tcp", b"220 VMware Authe", side="dst", strong=True),),
    ports=(902,),
    reference="VMware, ports and protocols of ESXi and vCenter",
)
