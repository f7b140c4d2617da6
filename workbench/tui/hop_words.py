"""The sightings of one conversation, in words for a flow's details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.tui import figures
from workbench.tui.looks import text_cell


def hops_group(hops: Sequence[Mapping[str, Any]]) -> tuple[str, list[tuple[str, str]]] | None:
    """`Seen 2 times, counted once`, a line or two a sensor; None where there are fewer than two."""
    if len(hops) < 2:
        return None
    rows = []
    for hop in hops:
        rows.append((f"{hop['hop']}", _where(hop)))
        if hop["latency_us"] is not None:
            rows.append(("", f"from {hop['hop'] - 1}: {_between(hop)}"))
    return f"Seen {len(hops)} times, counted once", rows


def _where(hop: Mapping[str, Any]) -> str:
    """`uplink: 09:31:05.123 ± 40 µs, vni:5001 in vxlan, packets 10 out, 8 back`."""
    error = f" ± {figures.micros(hop['clock_error_us'])}" if hop["clock_error_us"] else ""
    network = text_cell(hop["network"] or "untagged")
    if hop["tunnel"]:
        network += f" in {text_cell(hop['tunnel'])}"
    when = f"{figures.clock(hop['seen'])}{error}"
    return f"{text_cell(hop['sensor'])}: {when}, {network}, packets {hop['src_pkts']:,} out, {hop['dst_pkts']:,} back"


def _between(hop: Mapping[str, Any]) -> str:
    """How long from the hop before, and what did not arrive."""
    latency, error = hop["latency_us"], hop["latency_error_us"] or 0
    said = [f"{figures.micros(latency)} ± {figures.micros(error)}"]
    trip = hop["round_trip_us"]
    if abs(latency) <= error and not trip:  # by round trips, the one with the longer is nearer to the originator
        said[0] += " (the clocks do not tell which came first)"
    if trip is not None:
        said.append(f"there and back {figures.micros(abs(trip))}")
    if trip is not None and trip < 0:
        said.append("by which it came first")
    for name, way in (("lost_there", "out"), ("lost_back", "back")):
        if hop[name]:
            said.append(
                f"{abs(hop[name]):,} {'fewer' if (hop[name] > 0) == (way == 'out') else 'more'} {way} than at {hop['hop'] - 1}"
            )
    return ", ".join(said)
