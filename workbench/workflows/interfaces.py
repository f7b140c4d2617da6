"""Interfaces of this machine that one can attach to, for a person who chooses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundInterface:
    """name: as the kernel has it. up: whether packets can arrive. packets: counted since it came up, both directions."""

    name: str
    up: bool
    packets: int


def found_interfaces() -> list[FoundInterface]:
    """All of them, those that are up and busiest first; loopback last."""
    from workbench.sources.interfaces import counters, interface_names, is_up

    found = []
    for name in interface_names():
        counted = counters(name)
        found.append(FoundInterface(name, is_up(name), counted.packets if counted is not None else 0))
    return sorted(found, key=lambda one: (one.name == "lo", not one.up, -one.packets, one.name))
