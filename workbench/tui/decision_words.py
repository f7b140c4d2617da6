"""What devices decided on a flow, in words."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.analysis.decided import Decided
from workbench.tui import figures
from workbench.tui.looks import text_cell

_ORIGINS = {"ovs-ipfix": "by Open vSwitch's IPFIX", "nft-log": "by the kernel's log"}


def decisions_group(found: Sequence[Decided]) -> tuple[str, list[tuple[str, str]]] | None:
    """`Decided`, a line a telling; None where nobody told."""
    if not found:
        return None
    return "Decided", [(text_cell(one.verdict), _told(one)) for one in found]


def _told(one: Decided) -> str:
    """`contain-esxi/no-guest at dpu7, 09:31:05.123 UTC, 3 packets, by Open vSwitch's IPFIX`."""
    where = f" at {text_cell(one.target)}" if one.target else ""
    packets = "" if one.packets is None else f", {one.packets:,} packet{'' if one.packets == 1 else 's'}"
    how = _ORIGINS.get(one.origin, f"by {text_cell(one.origin)}")
    return f"{text_cell(one.rule)}{where}, {figures.moment(one.ts)} UTC{packets}, {how}"
