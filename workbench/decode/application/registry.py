"""Every application protocol of this package, found by looking: a module with a constant PROTOCOL is one.

A module with an underscore in its name is a part of one (`tls_kernels`) and is not imported by looking: a kernel compiles when
its module is imported.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Final

from workbench.decode.application.protocol import Protocol

_PACKAGE: Final = "workbench.decode.application"
#: Modules that are about protocols, not one.
_OTHERS: Final = frozenset(
    {"protocol", "registry", "homes", "readers", "signatures", "framing", "probes", "identify", "ber", "ntlm", "logins", "tally"}
)


@cache
def protocols() -> tuple[Protocol, ...]:
    """All of them by name; the code of a protocol is its place here plus one."""
    found: list[Protocol] = []
    package = importlib.import_module(_PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        if module.name in _OTHERS or "_" in module.name:
            continue
        made = getattr(importlib.import_module(f"{_PACKAGE}.{module.name}"), "PROTOCOL", None)
        if isinstance(made, Protocol):
            found.append(made)
    return tuple(sorted(found, key=lambda protocol: protocol.name))


@cache
def codes() -> dict[str, int]:
    """Code of each protocol by name: 1 to 254; 0 means none."""
    return {protocol.name: code for code, protocol in enumerate(protocols(), 1)}


@cache
def at_home() -> dict[tuple[str, int], str]:
    """Which protocol a transport's port is known for."""
    found: dict[tuple[str, int], str] = {}
    for protocol in protocols():
        for transport in {signature.transport for signature in protocol.signatures}:
            for port in protocol.ports:
                found.setdefault((transport, port), protocol.name)
    return found
