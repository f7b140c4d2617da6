"""What of this floor is compiled ahead of need: importing these modules compiles their kernels, or finds them in the cache."""

from __future__ import annotations

from typing import Final

#: (what it does, module). They share most of what they call, so that one process compiles them all.
MODULES: Final = (
    ("flow table", "workbench.flows.update"),
    ("passing time", "workbench.flows.ticking"),
    ("ended flows", "workbench.flows.ended"),
    ("flow columns", "workbench.flows.gather"),
    ("flow index", "workbench.flows.index"),
    ("address texts", "workbench.flows.text"),
    ("community ids", "workbench.flows.community"),
    ("finding packets", "workbench.flows.match"),
    ("pairing records", "workbench.flows.telemetry.kernels"),
)
