"""A workload in words: its life, who held its addresses before and after, whom it met, and why it is called so."""

from __future__ import annotations

from typing import Final

import numpy as np

from workbench.analysis.hosts import Range
from workbench.analysis.workload_evidence import Claim, Holder, Known
from workbench.analysis.workload_groups import Group
from workbench.analysis.workload_traffic import Peer, Unnamed
from workbench.analysis.workloads import CONTESTED, THERE, Workload, cells_of
from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.lifeline_rows import WITHOUT, drawn_life
from workbench.tui.looks import TEXT_LIMIT, text_cell
from workbench.tui.widgets.columns import fit

#: Holders of one address that are drawn: the workload's own and those around it.
_HOLDERS: Final = 8
#: Cells of a name beside a drawn line, and the cells of lines up to which it has about half as many.
_NAME: Final = 34
_NARROW: Final = 24

#: Lines: what it is called, and the words; all safe to show.
Lines = list[tuple[str, str]]


def _text(value: str | None) -> str:
    return text_cell(None if value is None else value[:TEXT_LIMIT])


def when(first: int | None, last: int | None) -> str:
    """`from ... to ...`, open ends in words."""
    if first is not None and last is not None:
        return figures.span_text(first, last)
    begin = "no known beginning" if first is None else f"since {_moment(first)}"
    return begin + (", no known end" if last is None else f", until {_moment(last)}")


def _moment(at: int) -> str:
    return figures.from_us(at).isoformat(sep=" ", timespec="seconds")


def about(one: Workload) -> Lines:
    """What is known of it without asking."""
    life = one.lifetime
    lived = "" if life is None else f", {figures.duration(life / 1e6)}" + (" (brief)" if one.brief else "")
    on = f" on {_text(one.node)}" if one.node else ""
    lines = [("who", f"{visible(one.words[:TEXT_LIMIT])}: {_text(one.kind)}{on}")]
    if one.contested > 1:
        words = f"{one.contested} claim its address with equal right; flows there have no name"
        lines.append(("ambiguous", words))
    return [*lines, ("when", f"{when(one.first, one.last)}{lived}")]


def sums(one: Workload, flows: int, sent: int, received: int) -> Lines:
    """What it sent and received, and its labels."""
    lines = [("flows", f"{figures.count(flows)}; {figures.words_size(sent)} sent, {figures.words_size(received)} received")]
    if one.labels:
        lines.append(("labels", ", ".join(f"{_text(key)}={_text(value)}" for key, value in sorted(one.labels.items()))))
    return lines


def of_known(found: Known) -> Lines:
    """Whom it met, and what it is called so by."""
    lines: Lines = [("peers" if not n else "", _peer(peer)) for n, peer in enumerate(found.peers)]
    if found.peers_in_all > len(found.peers):
        lines.append(("", f"and {figures.count(found.peers_in_all - len(found.peers))} more"))
    if not found.peers:
        lines.append(("peers", "none in these flows"))
    for title, claims in (("evidence", found.claims), ("rivals", found.rivals), ("beaten", found.beaten)):
        lines += [(title if not n else "", _claim(claim, title)) for n, claim in enumerate(claims)]
    return lines


def _peer(peer: Peer) -> str:
    ways = f"{figures.count(peer.began)} to it, {figures.count(peer.flows - peer.began)} from it"
    doubt = " (ambiguous)" if peer.ambiguous else "" if peer.uid is not None else " (no name)"
    return f"{visible(peer.words[:TEXT_LIMIT])}{doubt}: {figures.words_size(peer.bytes)}, {ways}"


def held(holders: tuple[Holder, ...], over: Range, cells: int, *, dated: bool) -> Lines:
    """Its addresses; where others held one before or after, they are drawn one below the other on the axis of the rows."""
    lines: Lines = []
    for key in dict.fromkeys((holder.ip, holder.network) for holder in holders):
        of = [holder for holder in holders if (holder.ip, holder.network) == key]
        where = f" in {_text(key[1])}" if key[1] is not None else ""
        if len(of) == 1:
            lines.append(("address", f"{_text(key[0])}{where}, nobody else's"))
            continue
        mine = next((n for n, holder in enumerate(of) if holder.mine), 0)
        start = max(0, min(mine - 1, len(of) - _HOLDERS))
        shown = of[start : start + _HOLDERS]
        cut = f", {start + 1} to {start + len(shown)} of {len(of)} below" if len(shown) < len(of) else ""
        lines.append(("address", f"{_text(key[0])}{where}, held by {len(of)} one after the other{cut}" if not _doubted(of) else
                      f"{_text(key[0])}{where}, claimed by {len(of)}{cut}"))  # fmt: skip
        lines += [("", _holder(holder, over, cells, dated=dated)) for holder in shown]
    return lines


def _doubted(holders: list[Holder]) -> bool:
    return any(holder.claimants > 1 for holder in holders)


def _holder(holder: Holder, over: Range, cells: int, *, dated: bool) -> str:
    drawn = np.zeros(over.bins, np.uint8)
    if (holder.first is None or holder.first < over.end) and (holder.last is None or holder.last > over.start):
        begin, end = cells_of(holder.first, holder.last, over)
        drawn[begin:end] = CONTESTED if holder.claimants > 1 else THERE
    line = drawn_life(drawn, np.zeros(over.bins, np.int64), cells)
    room = _NAME if cells > _NARROW else _NAME // 2 + 3
    who = fit(visible(holder.words[:TEXT_LIMIT]), room, right=False).rstrip()
    begun, ended = (_short(at, dated=dated) for at in (holder.first, holder.last))
    doubt = f", {holder.claimants} claim it" if holder.claimants > 1 else ""
    return f"{line} {'▶' if holder.mine else ' '}{who} {begun}\u2013{ended}{doubt}"


def _short(at: int | None, *, dated: bool) -> str:
    """A time to the second; dots where none is known."""
    return "…" if at is None else figures.clock(figures.from_us(at), date=dated).partition(".")[0]


def _claim(claim: Claim, title: str) -> str:
    who = "" if title == "evidence" else f"{_text(claim.words)} ({_text(claim.kind)}): "
    what = _text(claim.ip) if claim.ip is not None else "the end of it"
    where = f" in {_text(claim.network)}" if claim.network is not None else ", any network"
    said = f"; {_text(claim.detail)}" if claim.detail else ""
    strength = f"{_text(claim.origin)}, confidence {claim.confidence:g}"
    return f"{who}{what}{where if claim.ip is not None else ''}, {when(claim.first, claim.last)}; {strength}{said}"


def of_group(group: Group, by: str) -> Lines:
    """A group in words."""
    many = figures.count(len(group.members))
    what = visible(by.removeprefix("label:")[:10])
    name = WITHOUT if group.value is None else visible(group.value[:TEXT_LIMIT])
    plural = "" if len(group.members) == 1 else "s"
    sums = f"{figures.count(group.flows)} flows, {figures.words_size(group.bytes)}"
    change = f"{figures.count(group.new)} new and {figures.count(group.gone)} gone in the range"
    lines = [
        (what[:10] or "all", f"{name}: {many} workload{plural}, {sums}"),
        ("change", f"{change}, {figures.count(group.brief)} lived for at most 15 minutes"),
    ]
    if group.contested:
        lines.append(("ambiguous", f"{figures.count(group.contested)} of them share an address with others that claim it"))
    return [*lines, ("", "Enter folds or unfolds it.")]


def of_unnamed(one: Unnamed) -> Lines:
    """An address without a name in words."""
    where = f" in {_text(one.network)}" if one.network else ""
    return [
        ("address", f"{one.ip}{where}: nobody claims it"),
        ("when", figures.span_text(one.first, one.last)),
        (
            "flows",
            f"{figures.count(one.flows)}; {figures.words_size(one.sent)} sent, {figures.words_size(one.received)} received",
        ),
    ]
