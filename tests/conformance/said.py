"""Sections of docs/conformance.md about what was said: fields, fingerprints, services."""

from __future__ import annotations

from collections import Counter

from tests.conformance import oracle
from tests.conformance.field_causes import NOT_STANDARD, PRINTS, cause_of_fields, cause_of_service
from tests.conformance.fingerprints import expected, missing
from tests.conformance.protocol_fields import Compared, walk
from tests.conformance.services import OUTCOMES, Beside, ndpi, zeek

_FIELDS = """
## Fields of application protocols

Every capture in which tshark {version} or this program finds the protocol, each content once; message by message, or counted
where neither has an order. Asked is 99% of the values of each protocol. The same comparisons run as tests over chosen captures.
Values that only this program shows count as differing, but where the packets were looked at and hold them ("in the packets").

| table | captures | values compared | differ | of them in the packets | agree | of tshark's values, ours too |
|---|---|---|---|---|---|---|
"""
_RTT = """
`rtt_us` of `dns` agrees where it is tshark's, which counts from the last of several equal queries, or the time from the oldest
of tshark's own frames that has no answer yet, which is our rule (docs/protocols.md). JA3 and HASSH are tshark's own; JA4 is
compared with one computed of tshark's fields by FoxIO's text.
"""
_PRINTS = """
## Fingerprints that others published

nDPI's JA4 counts only where JA4_CHECK.tsv confirms it, without the count that its lists put ahead (`2:t12d...`, twice): of the
nine that it publishes for this set six are confirmed, and ours; the other three are
{ndpi}.
JA4S and the other JA4+ methods are no part of this program.

| source | fingerprint | published | equal |
|---|---|---|---|
"""


def fields_section(found: list[Compared] | None = None) -> str:
    """Agreement by protocol, and each difference with its cause."""
    found = walk() if found is None else found
    out = [_FIELDS.format(version=oracle.version())]
    for one in found:
        share = f"{1 - (one.differ - one.proven) / one.values:.2%}" if one.values else "-"
        theirs = one.values - one.extra
        ours = f"{1 - (one.differ - one.extra) / theirs:.2%}" if theirs else "-"
        out.append(f"| {one.table} | {len(one.of)} | {one.values:,} | {one.differ} | {one.proven} | {share} | {ours} |\n")
    out += [_RTT, "\n| table | capture | fields that differ | cause |\n|---|---|---|---|\n"]
    for one in found:
        for capture, agreed in one.of.items():
            if agreed.differ:
                fields = ", ".join(f"{name} {count}" for name, count in agreed.differ.items())
                out.append(f"| {one.table} | `{_short(capture)}` | {fields} | {cause_of_fields(one.table, capture)} |\n")
    return "".join(out)


def _short(capture: str) -> str:
    return capture if len(capture) < 70 else f"{capture[:30]}...{capture[-36:]}"


def fingerprints_section() -> str:
    """How many published fingerprints are ours too."""
    published = expected()
    lacking = missing(published)
    out = [_PRINTS.format(ndpi=NOT_STANDARD)]
    counts, wrong = Counter((p.source, p.kind) for p in published), Counter((p.source, p.kind) for p in lacking)
    for key, count in sorted(counts.items()):
        out.append(f"| {key[0]} | {key[1]} | {count} | {count - wrong[key]} |\n")
    if lacking:
        out.append("\n| source | capture | fingerprint | cause |\n|---|---|---|---|\n")
        causes = [PRINTS.get((p.capture, p.value), "**not known**") for p in lacking]
        out += [
            f"| {p.source} | `{_short(p.capture)}` | {p.kind} {p.value} | {cause} |\n"
            for p, cause in zip(lacking, causes, strict=True)
        ]
    return "".join(out)


def services_section() -> str:
    """`service` beside Zeek's and nDPI's."""
    both = (zeek(), ndpi())
    out = ["\n## `service` beside Zeek's and nDPI's\n\n"]
    out.append("Flows of which one of both says something, by what came of them. What agrees is not listed.\n\n")
    out.append("| | " + " | ".join(OUTCOMES) + " |\n|" + "---|" * (len(OUTCOMES) + 1) + "\n")
    out += [f"| {beside.name} | " + " | ".join(str(beside.count(one)) for one in OUTCOMES) + " |\n" for beside in both]
    out.append("\n| program | outcome | theirs | ours | flows | captures | cause |\n|---|---|---|---|---|---|---|\n")
    for beside in both:
        out += [line for outcome in OUTCOMES if outcome != "agree" for line in _lines(beside, outcome)]
    return "".join(out)


_PLAIN = {
    "they name a program": "a program's, company's or game's name, told by content, address or host name; its protocol has none",
    "they went by port or address": "no packet of the flow says what it is: nDPI went by port or address",
}


def _lines(beside: Beside, outcome: str) -> list[str]:
    lines = []
    for (theirs, ours), captures in sorted(beside.of[outcome].items()):
        cause = _PLAIN.get(outcome) or cause_of_service(beside.name, theirs, ours)
        named = ", ".join(f"`{_short(capture)}`" for capture in sorted(captures))
        lines.append(
            f"| {beside.name} | {outcome} | {theirs or '-'} | {ours or '-'} | {captures.total()} | {named} | {cause} |\n"
        )
    return lines
