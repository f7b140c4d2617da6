"""Rows of the panes beside a policy, and the lines above them: what each answer of the desk looks like."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from rich.text import Text

from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.looks import Look, text_cell
from workbench.tui.table_source import second

if TYPE_CHECKING:
    from workbench.policy.impact import Change, Changes, Impact
    from workbench.workflows.policy_desk import Proof, Read, Remark, Tried, Who
    from workbench.workflows.policy_then import Thens
    from workbench.workflows.policy_versions import Version


def _look(name: str, heading: str, meaning: str, width: int, most: int = 0, text: Callable[[Any], str] = text_cell) -> Look:
    right = text in (figures.count, figures.size, _headers)
    return Look(name, heading, meaning, width, most or width, right, "time" if text is second else "", text)


def _headers(value: Any) -> str:
    """How many packets there can be: up to 2 to the 288th, so by powers of ten."""
    found = int(value)
    if found < 10_000_000:
        return f"{found:,}"
    digits = str(found)
    return f"{digits[0]}.{digits[1]}e{len(digits) - 1}"


#: Newly denied and newly allowed, by who reaches whom on what.
IMPACT: Final = (
    _look("way", "change", "newly denied, newly allowed, or undetermined: nobody knows who began the flow", 9),
    _look("from", "from", "workload or address of the originator", 15, 30),
    _look("to", "to", "workload or address of the responder", 15, 30),
    _look("service", "service", "protocol and port", 9, 14),
    _look("flows", "flows", "how many flows", 6, 7, figures.count),
    _look("bytes", "bytes", "IP bytes both ways", 8, 8, figures.size),
    _look("last", "last seen", "last packet of the last of them, UTC", 19, 19, second),
    _look("surviving", "survive", "open sessions that go on although denied: the rule keeps them", 7, 7, figures.count),
    _look("rule", "rule", "the rule that decides most of them", 20, 40),
)
PROOF: Final = (
    _look("way", "change", "newly denied or allowed; rejected for denied; managed by nobody; open sessions cut or kept", 9),
    _look("src", "from", "addresses", 18, 40),
    _look("dst", "to", "addresses", 18, 40),
    _look("services", "services", "protocols and ports", 14, 40),
    _look("packets", "packets", "how many different headers that is, exactly counted", 9, 9, _headers),
)
WHO: Final = (
    _look("group", "group", "name of the group", 16, 30),
    _look("addresses", "addresses", "how many addresses it means", 9, 9, _headers),
    _look("names", "workloads", "names of workloads that have one of them at the time shown", 24, 60),
    _look("prefixes", "prefixes", "its addresses", 20, 60),
)
THEN: Final = (
    _look("since", "in force from", "since when the policy would have been in force, UTC", 19, 19, second),
    _look("stopped", "stopped", "of the flows in question: those that it would have stopped", 7, 7, figures.count),
    _look("through", "through", "of the flows in question: those that begin later and are not stopped", 7, 7, figures.count),
    _look("before", "before", "of the flows in question: those that had begun already", 7, 7, figures.count),
    _look("cut", "cut", "of those, the ones that go on and that the rule cuts", 5, 5, figures.count),
    _look("denied", "others", "other flows that it would have denied: what it costs", 7, 7, figures.count),
    _look("bytes", "bytes", "their IP bytes, both ways", 8, 8, figures.size),
    _look("pairs", "pairs", "between how many pairs they are", 6, 6, figures.count),
    _look("why", "that is", "what is special about the time", 20, 30),
)
TESTS: Final = (
    _look("result", "test", "whether it came as expected", 6),
    _look("name", "name", "what the test is called", 22, 40),
    _look("between", "between", "from, to, service", 24, 50),
    _look("expect", "expects", "the verdict that is expected", 9),
    _look("got", "got", "the verdict", 9, 17),
    _look("rule", "rule", "the rule that decided", 20, 40),
    _look("packet", "packet", "one that fails the test, else any that it speaks of", 24, 80),
)
VERSIONS: Final = (
    _look("policy", "policy", "its name", 16, 30),
    _look("version", "version", "its number, or draft", 7),
    _look("why", "why", "the reason that was given; what is wrong with the version", 24, 80),
    _look("saved", "saved", "when, UTC", 19, 19, second),
    _look("author", "by", "who saved it, by the audit log", 14, 24),
)

_SIGNS: Final = {"error": "✗", "warning": "!", "note": "·"}


#: Signs of what becomes of flows: no colour says it alone.
_WAYS: Final = {"newly denied": "- denied", "newly allowed": "+ allowed", "newly undetermined": "? unknown"}


def impact_rows(found: Impact) -> pa.Table:
    """Rows of the impact; `place` finds the change of a row again."""
    return _table(
        IMPACT,
        [
            {
                "way": _WAYS[one.kind],
                "from": one.src,
                "to": one.dst,
                "service": one.service,
                "flows": one.flows,
                "bytes": one.bytes,
                "last": str(figures.from_us(one.last))[:19],
                "surviving": one.surviving,
                "rule": one.rule,
                "place": n,
            }
            for n, one in enumerate(changes_of(found))
        ],
        ("place",),
    )


def changes_of(found: Impact) -> list[Change]:
    """What changes in the order of the rows."""
    meant = found.intended
    return [*meant.denied, *meant.allowed, *meant.undetermined]


def impact_head(found: Impact, against: str, shown: str) -> Text:
    """What becomes of the flows that were recorded. shown: '' for all of them, else which."""
    judged = f"{found.flows:,} flows{shown} against {against}: "
    text = Text(judged).append(_summed(found.intended), "bold")
    undetermined = [
        (found.mid_stream, "mid-stream"),
        (found.related, "ICMP errors"),
        (found.impossible, "of ports or protocols that there are not"),
        (found.ambiguous, "of several claimants"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in undetermined if count)
    if told:
        text.append(f"\nundetermined, never allowed: {told}")
    if found.apart:
        text.append(f"\nwith members as of the push instead of each flow: {_summed(found.enforced)}")
    return text


def _summed(found: Changes) -> str:
    if found.nothing:
        return "nothing changes"
    parts = []
    for one, what in zip(found.sums, ("denied", "allowed", "undetermined"), strict=True):
        if one.flows:
            lives = f", {one.surviving:,} of {one.live:,} live sessions survive" if what == "denied" and one.live else ""
            pairs = f"{one.groups:,} pair{'s' * (one.groups != 1)}"
            parts.append(f"newly {what}: {one.flows:,} flows, {figures.words_size(one.bytes)}, {pairs}{lives}")
        elif what != "undetermined":
            parts.append(f"newly {what}: none")
    return "; ".join(parts)


def proof_rows(found: Proof) -> pa.Table:
    """Rows of the proof."""
    return _table(
        PROOF,
        [
            {"way": row.way, "src": row.src, "dst": row.dst, "services": row.services, "packets": str(row.packets)}
            for row in found.rows
        ],
    )


def proof_head(found: Proof, against: str) -> Text:
    """What is proven, in a sentence, with a packet for each way, and the rules that differ in what no packet shows."""
    from workbench.workflows.policy_desk import WAYS

    if found.nothing:
        text = Text(f"Proven: every packet is judged as by {against}", style="bold")
        text.append(f", {found.when}." + ("" if found.rules else " Nothing changes."))
    else:
        text = Text(f"Against {against}, over all packets there can be, {found.when}: ")
        text.append("; ".join(_counted(found, way, words) for way, words in WAYS.items() if way in found.counts), "bold")
        text.append(".\nProven: nothing else changes" + (" but these rules:" if found.rules else "."))
    for one in found.rules[:_MOST_RULES]:
        text.append(f"\nrule {visible(one)}", "bold")
    if len(found.rules) > _MOST_RULES:
        text.append(f"\nand {len(found.rules) - _MOST_RULES:,} more rules of that kind", "bold")
    for note in found.notes:
        text.append(f"\nnote: {visible(note)}")
    for example in found.examples:
        text.append(f"\n{visible(example)}", "dim")
    return text


#: Rules that differ in what no packet shows that are named.
_MOST_RULES: Final = 4


def _counted(found: Proof, way: str, words: str) -> str:
    rows = sum(row.way == way for row in found.rows)
    return f"{words}: {_headers(found.counts[way])} packets in {rows} row{'s' * (rows != 1)}"


def then_rows(found: Thens) -> pa.Table:
    """Rows of the time machine."""
    names = [look.name for look in THEN if look.name != "since"]
    rows = [
        {"since": str(figures.from_us(one.since))[:19], "place": n, **{name: getattr(one, name) for name in names}}
        for n, one in enumerate(found.rows)
    ]
    return _table(THEN, rows, ("place",))


def then_head(found: Thens, words: str, policy: str) -> Text:
    """What it would have stopped, had it been there before."""
    if not found.flows:
        return Text(f"{words} is about no flow of this case.")
    one = found.rows[0]
    span = figures.span_text(found.first, found.last + 1)
    text = Text(f"{words}: {found.flows:,} flow{'s' * (found.flows != 1)}, {span} UTC.\nHad {policy} been in force before: ")
    text.append(f"{one.stopped:,} stopped", "bold")
    if one.first_stopped is not None:
        text.append(f", the first at {figures.clock(figures.from_us(one.first_stopped))}")
    text.append(f"; {one.through:,} got through", "bold")
    cost = f"{one.denied:,} other flow{'s' * (one.denied != 1)} of {one.pairs:,} pairs, {figures.words_size(one.bytes)}"
    return text.append("; it costs ").append(cost if one.denied else "no other flow", "bold").append(".")


def who_rows(found: Sequence[Who]) -> pa.Table:
    """Rows of groups."""
    return _table(
        WHO,
        [
            {
                "group": one.group,
                "addresses": str(one.addresses),
                "names": _several(one.names) or "none that has a name",
                "prefixes": _several(one.prefixes) or "nobody",
                "line": one.line,
            }
            for one in found
        ],
        ("line",),
    )


def who_head(found: Sequence[Who], at: dt.datetime | None) -> Text:
    """As of when."""
    nobody = [one.group for one in found if not one.addresses]
    when = "now" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
    text = Text(f"{len(found)} group{'s' * (len(found) != 1)} as of {when}")
    if nobody:
        text.append(f"; nobody in {visible(', '.join(nobody[:5]))}", "bold")
    return text


def test_rows(found: Sequence[Tried]) -> pa.Table:
    """Rows of tests, those that fail first."""
    ordered = sorted(found, key=lambda one: one.passed)
    return _table(
        TESTS,
        [
            {
                "result": "✓ pass" if one.passed else "✗ FAIL",
                "name": one.name,
                "between": f"{one.src} → {one.dst} {one.service}",
                "expect": one.expect,
                "got": one.got,
                "rule": one.rule,
                "packet": one.packet,
                "line": one.line,
            }
            for one in ordered
        ],
        ("line",),
    )


def test_head(found: Sequence[Tried]) -> Text:
    """How many pass."""
    failed = sum(not one.passed for one in found)
    if not found:
        return Text("This policy has no tests: add `tests:` to it.")
    if failed:
        return Text(f"✗ {failed} of {len(found)} tests fail", style="bold")
    return Text(f"✓ all {len(found)} tests pass")


def version_rows(found: Sequence[Version], drafts: Sequence[tuple[str, dt.datetime]]) -> pa.Table:
    """Rows of drafts, then of versions, the newest first."""
    rows = [
        {
            "policy": name,
            "version": "draft",
            "saved": str(at)[:19] if at.year > 1 else "",
            "author": "",
            "why": "not saved yet",
            "number": 0,
        }
        for name, at in drafts
    ]
    rows += [
        {
            "policy": one.name,
            "version": str(one.number),
            "saved": "" if one.saved is None else str(one.saved)[:19],
            "author": one.author,
            "why": f"! {one.trouble}. {one.why}" if one.trouble else one.why,
            "number": one.number,
        }
        for one in reversed(found)
    ]
    return _table(VERSIONS, rows, ("number",))


def remark_line(found: Read | None, remarks: Sequence[Remark], line: int) -> Text:
    """What is said of the line under the cursor; else of the whole."""
    here = [one for one in remarks if one.line == line]
    if here:
        one = here[0]
        more = f"  (and {len(here) - 1} more here)" if len(here) > 1 else ""
        return Text(
            f"{_SIGNS[one.severity]} line {line}: {visible(one.text)}{more}", style="bold" if one.severity == "error" else ""
        )
    counts = [(sum(one.severity == kind for one in remarks), kind) for kind in _SIGNS]
    told = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for count, kind in counts if count)
    if told:
        first = min(one.line for one in remarks)
        sign = next(_SIGNS[kind] for count, kind in counts if count)
        return Text(f"{sign} {told}; ctrl+n goes to the next, the first is on line {first}")
    if found is None:
        return Text("")
    policy = found.loaded.policy if found.loaded is not None else None
    rules = len(policy.rules) if policy is not None else 0
    return Text(f"✓ it loads: {rules} rule{'s' * (rules != 1)}, nothing to remark", style="dim")


def _several(words: Sequence[str]) -> str:
    return ", ".join(words[:12]) + (f" and {len(words) - 12:,} more" if len(words) > 12 else "")


def _table(looks: Sequence[Look], rows: Sequence[dict[str, Any]], numbers: Sequence[str] = ()) -> pa.Table:
    """Rows with the columns that the looks name, as text unless they count something, and those that Enter needs."""
    kinds = {look.name: pa.int64() if look.text in (figures.count, figures.size) else pa.string() for look in looks}
    kinds |= dict.fromkeys(numbers, pa.int64())
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()})
