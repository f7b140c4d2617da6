"""Leads and findings as a sentence with its numbers, and the filter that shows the flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from workbench.analysis.leads import FAILED, Lead
from workbench.records.visible import visible
from workbench.tui import conditions, figures
from workbench.tui.data import Span
from workbench.tui.looks import text_cell

#: What a sign is called, in few letters.
NAMES: Final[dict[str, str]] = {
    "scan": "scan",
    "management": "manage",
    "guessing": "log-ins",
    "upload": "upload",
    "arrival": "new",
    "refused": "refused",
}
_FAILED_SET: Final = "conn_state in {" + ", ".join(FAILED) + "}"


def lead_words(lead: Lead) -> str:
    """One sentence: who, whom, how much."""
    return _WORDS[lead.sign](lead, lead.numbers)


def lead_filter(lead: Lead) -> str:
    """The filter that keeps its flows."""
    parts = [_is("src_ip", lead.who)] + ([_is("dst_ip", lead.whom)] if lead.whom else [])
    if lead.sign == "scan":
        parts = [_is("src_ip", lead.who), "proto == 6", _FAILED_SET]
    elif lead.sign == "management":
        parts.append("dst_port in {" + ", ".join(map(str, lead.numbers["ports"])) + "}")
    elif lead.sign == "guessing":
        parts.append(f"tcp.dstport == {lead.numbers['port']}")
    elif lead.sign == "arrival":
        parts = [_is("addr", lead.who)]
    elif lead.sign == "refused":
        parts = [_is("src_ip", lead.who), "proto == 6", "conn_state == REJ"]
        parts.append(conditions.during(Span(figures.to_us(lead.first), figures.to_us(lead.last) + 1)))
    return " && ".join(parts)


def finding_words(row: Mapping[str, Any]) -> str:
    """`Vertical scan: 10.0.0.5 → 10.0.0.9: 96 of 100 connections failed`."""
    ends = " → ".join(text_cell(row[side]) for side in ("subject", "object") if row.get(side))
    why = visible(str(row.get("why") or "")[:400])
    return ": ".join(part for part in (text_cell(row.get("title")), ends, why) if part)


def _is(column: str, value: str) -> str:
    return conditions.condition(column, value, keep=True)


def _many(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _scan(lead: Lead, n: Mapping[str, Any]) -> str:
    took = figures.duration((lead.last - lead.first).total_seconds())
    where = lead.whom or _many(n["hosts"], "host")
    return f"{lead.who}: {n['failed']:,} of {n['flows']:,} connections failed, {where}, {_many(n['ports'], 'port')}, {took}"


def _management(lead: Lead, n: Mapping[str, Any]) -> str:
    ports = f"port{'' if len(n['ports']) == 1 else 's'} " + ", ".join(map(str, n["ports"]))
    where = lead.whom or _many(n["hosts"], "host")
    return f"{lead.who} on hypervisor management {ports} of {where}: {_many(n['flows'], 'flow')}"


def _guessing(lead: Lead, n: Mapping[str, Any]) -> str:
    took = figures.duration((lead.last - lead.first).total_seconds())
    return f"{lead.who} connected {n['flows']:,} times to {lead.whom}, log-in port {n['port']}, in {took}"


def _upload(lead: Lead, n: Mapping[str, Any]) -> str:
    place = " outside" if n["outside"] else ""
    sent, received = figures.words_size(n["sent"]), figures.words_size(n["received"])
    return f"{lead.who} sent {sent} to {lead.whom}{place}, and had {received} back"


def _arrival(lead: Lead, n: Mapping[str, Any]) -> str:
    size = figures.words_size(n["bytes"])
    return f"{lead.who}, first seen at {figures.clock(lead.first)}, moved {size} in {_many(n['flows'], 'flow')}"


def _refused(lead: Lead, n: Mapping[str, Any]) -> str:
    where = lead.whom or _many(n["hosts"], "host")
    return f"{lead.who} was refused {n['refused']:,} times within a minute, by {where}"


_WORDS: Final = {
    "scan": _scan,
    "management": _management,
    "guessing": _guessing,
    "upload": _upload,
    "arrival": _arrival,
    "refused": _refused,
}
