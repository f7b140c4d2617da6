"""Drafts of policies out of a case: from any selection of flows what is to be allowed, from a finding its containment.

What comes back was checked: it loads, and what it was drafted from gets through. Everything is asked through one question, so
whoever waits can stop it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import InternalError, UsageError

if TYPE_CHECKING:
    from workbench.policy.draft import Drafted, Wish
    from workbench.policy.draft_guards import Guard
    from workbench.policy.draft_history import FlowsOfFindings
    from workbench.policy.draft_seen import Edge, LeftOut
    from workbench.store.pages import Where
    from workbench.store.reader import Asks, CaseReader

#: From which severity on findings are left out with their flows.
SEVERITIES: Final = ("low", "medium", "high", "critical")
LEAVE_OUT: Final = "medium"

#: Flows among which the servers are that guards lead to.
_GUARDED: Final = (
    "(proto = 17 AND dst_port IN (53, 67, 68, 123, 546, 547, 2055, 4739, 6343)) OR (proto = 6 AND dst_port IN (22, 53))"
)

#: How long a containment lasts unless said otherwise: long enough to look, short enough to be forgotten.
EXPIRES: Final = "4h"

#: Subjects of one containment.
MOST_SUBJECTS: Final = 64


@dataclass(frozen=True, slots=True)
class Selection:
    """Which flows to draft from: those of a filter, or with these ids; of neither, all. finding: to be contained instead."""

    filter: str = ""
    flow_ids: tuple[int, ...] = ()
    finding: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """How to draft. breadth: name or number of draft_seen.BREADTHS. leave_out: of SEVERITIES, or `nothing`.

    keep_external: what was not seen between inside and outside stays as it is, not denied.
    """

    name: str = ""
    breadth: str = "workloads"
    leave_out: str = LEAVE_OUT
    guards: bool = True
    keep_external: bool = False
    expires: str = EXPIRES


@dataclass(frozen=True, slots=True)
class Suggested:
    """A draft. text: YAML with notes. report: the same for machines, docs/policy.md says of what form."""

    text: str
    drafted: Drafted
    report: Mapping[str, Any]
    told: tuple[str, ...] = field(default=())

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What it was not made from."""
        return self.drafted.left_out


def suggest_policy(
    case: CaseReader,
    selection: Selection = Selection(),
    options: Options = Options(),
    asks: Asks | None = None,
) -> Suggested:
    """A draft for a selection; of a finding its containment. asks: a question of the case, to be stopped by whoever waits.

    FilterError, UsageError for a wrong selection or breadth, CancelledError when stopped.
    """
    question = asks or case.question()
    if selection.finding:
        return _containment(question, selection.finding, options)
    from workbench.policy.draft import checked, draft
    from workbench.policy.draft_history import read_seen

    wish = wish_of(options, "draft")
    excluded, warnings = _findings_left_out(case, question, options.leave_out)
    seen = read_seen(question, _where(case, selection), excluded, warn=warnings)
    if not seen.edges:
        why = "; ".join(f"{one.reason}: {one.flows:,}" for one in seen.left_out)
        raise UsageError("there is no flow to draft from" + (f" ({why})" if why else ""), "Widen the filter, or see --leave-out.")
    return finished(checked(draft(seen, wish), seen), {"kind": "allow", "asked": seen.asked})


def _containment(asks: Asks, finding_id: str, options: Options) -> Suggested:
    from workbench.policy.draft_contain import contain
    from workbench.policy.draft_history import impossible, of_findings_sql, plain_edges, read_seen
    from workbench.store.pages import Where

    expires = expires_of(options)
    found = _finding(asks, finding_id)
    flows = _flows_of(asks, [found])
    of_it, params = of_findings_sql(flows)
    abuse, _ = plain_edges(asks, Where(of_it, tuple(params)))
    subjects = _subjects(found, abuse)
    ends = " OR ".join("(src_hi = ? AND src_lo = ?) OR (dst_hi = ? AND dst_lo = ?)" for _ in subjects)
    others, _ = plain_edges(asks, Where(f"({ends})", tuple(half for one in subjects for half in _halves(one) * 2)), flows)
    servers = read_seen(asks, Where(_GUARDED), flows).edges
    out = impossible(asks, Where(of_it, tuple(params)))
    about = f"{found['title']}: {found['why']}"
    wish = wish_of(options, f"contain-{found['subject']}")
    made = contain(subjects, abuse, others, servers, wish, expires=expires, about=about)
    report = {
        "kind": "contain",
        "finding": found["finding_id"],
        "stopped": {"flows": made.stopped, "of": made.whole},
        "collateral": {
            "flows": made.collateral.flows,
            "bytes": made.collateral.bytes,
            "hosts": made.collateral.peers,
            "rows": [dict(row) for row in made.collateral.rows],
        },
    }
    return finished(replace(made.drafted, left_out=(*made.drafted.left_out, *out)), report)


def finished(drafted: Drafted, report: Mapping[str, Any]) -> Suggested:
    """The draft as text, read back: what this program writes it must load."""
    from workbench.policy.draft_text import left_out_note
    from workbench.policy.lint import lint
    from workbench.policy.loader import load
    from workbench.policy.written import text_of

    text = text_of(drafted.policy, drafted.comments())
    loaded = load([("draft.yaml", text)])
    if loaded.policy != drafted.policy:
        raise InternalError("the draft does not read back as it was written", "draft_policy.py")
    wrong = [one for one in lint(loaded) if one.severity == "error"]
    if wrong and report["kind"] != "repair":  # a policy that is mended has the faults it had
        raise InternalError(f"the draft has an error: {wrong[0].message}", "draft_policy.py")
    told = [*drafted.notes, *(f"left out: {left_out_note(one)}" for one in drafted.left_out)]
    return Suggested(text, drafted, _report(drafted, text, report), tuple(told))


def _report(drafted: Drafted, text: str, more: Mapping[str, Any]) -> dict[str, Any]:
    from workbench.policy.draft_seen import BREADTHS
    from workbench.policy.draft_text import moment

    rules = []
    for rule in drafted.policy.rules:
        said: dict[str, Any] = rule.model_dump(by_alias=True, exclude_defaults=True)
        found = drafted.evidence.get(rule.name)
        if found is not None:
            seen = {"first": moment(found.first), "last": moment(found.last)} if found.flows else {}
            said["evidence"] = {
                "flows": found.flows, "bytes": found.bytes, **seen, "flow_ids": list(found.ids), "guard": found.guard,
                "notes": found.notes,
            }  # fmt: skip
        rules.append(said)
    left = [
        {"reason": one.reason, "flows": one.flows, "bytes": one.bytes, "flow_ids": list(one.ids), "detail": one.detail,
         "still_allowed": one.still}
        for one in drafted.left_out
    ]  # fmt: skip
    return {
        **more, "policy": drafted.policy.metadata.name, "breadth": BREADTHS[drafted.breadth], "rules": rules, "left_out": left,
        "notes": list(drafted.notes), "text": text,
    }  # fmt: skip


def breadth_of(text: str) -> int:
    """The number of a breadth. UsageError names those there are."""
    from workbench.policy.draft_seen import BREADTHS

    if text in BREADTHS:
        return BREADTHS.index(text)
    if text.isdecimal() and int(text) < len(BREADTHS):
        return int(text)
    raise UsageError(f"{text} is no breadth", f"One of {', '.join(BREADTHS)}, or 0 to {len(BREADTHS) - 1}.")


def expires_of(options: Options) -> str:
    """When what is drafted ends, as a rule says it. UsageError where that is no time."""
    from workbench.policy.model import MOST_TEXT, until

    try:
        if len(options.expires) > MOST_TEXT:
            raise ValueError(f"`{options.expires[:40]}` and so on is no time")
        until(options.expires, datetime.now(UTC))
    except ValueError as error:
        raise UsageError(f"--expires: {error}", "Say how long (4h, 2d), or until when (2030-01-31T12:00:00Z).") from error
    return options.expires


def wish_of(options: Options, name: str) -> Wish:
    """The options as the drafting takes them. name: of the policy where none is asked for."""
    from workbench.policy.draft import Wish
    from workbench.policy.draft_guards import GUARDS

    guards = (*GUARDS, *_of_settings()) if options.guards else ()
    return Wish(options.name or name, "", breadth_of(options.breadth), guards, not options.keep_external)


def _of_settings() -> tuple[Guard, ...]:
    """Guards for the devices of `[targets]`; of those with addresses: what a name means is not asked of anybody."""
    from workbench.policy.draft_guards import of_targets
    from workbench.push.targets import known_targets
    from workbench.settings import load_settings

    targets = known_targets(load_settings()).values()
    devices = [(host, target.far.port or 22) for target in targets if (host := _address(target.far.host))]
    return of_targets(devices, [one for target in targets for one in target.telemetry])


def _address(host: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return ""


def _where(case: CaseReader, selection: Selection) -> Where:
    from workbench.store.pages import Where
    from workbench.workflows.show import kept_flows

    if selection.flow_ids:
        return Where("flow_id IN (SELECT unnest(?::BIGINT[]))", (list(selection.flow_ids),))
    return kept_flows(case, selection.filter)


def _halves(address: int) -> tuple[int, int]:
    from workbench.policy.draft_history import halves

    return halves(address)


_FINDINGS: Final = """SELECT finding_id, title, severity, subject, object, why, flows,
    epoch_us(ts_first) AS first, epoch_us(ts_last) AS last FROM findings"""


def _finding(asks: Asks, finding_id: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = asks.query(_FINDINGS + " WHERE finding_id = ?", [finding_id]).to_pylist()
    if not rows:
        raise UsageError(f"the case has no finding {finding_id}", "`workbench detect` lists them with their ids.")
    return rows[0]


def _findings_left_out(case: CaseReader, asks: Asks, leave_out: str) -> tuple[FlowsOfFindings, tuple[str, ...]]:
    """Findings from a severity on that nobody has called harmless, and what is to be said of them."""
    from workbench.policy.draft_history import FlowsOfFindings

    if leave_out == "nothing":
        return FlowsOfFindings(), ("flows of findings are among those that were drafted from",)
    if leave_out not in SEVERITIES:
        raise UsageError(f"{leave_out} is no severity", f"One of {', '.join(SEVERITIES)}, or nothing.")
    rows = asks.query(_FINDINGS + " ORDER BY finding_id").to_pylist()
    if not rows:
        return FlowsOfFindings(), (
            "the case has no findings: run `workbench detect` first, or an attack is drafted from as well",
        )
    harmless = _harmless(case)
    grave = SEVERITIES[SEVERITIES.index(leave_out) :]
    kept = [row for row in rows if row["severity"] in grave and row["finding_id"] not in harmless]
    rest = len(rows) - len(kept)
    said = (f"findings not left out: {rest} less grave than {leave_out}, or judged benign",) if rest else ()
    return _flows_of(asks, kept), said


def _harmless(case: CaseReader) -> frozenset[str]:
    from workbench.store.notebook import Notebook

    book = Notebook(case.case.root)
    try:
        return frozenset(one.finding_id for one in book.states().values() if one.state == "benign")
    finally:
        book.close()


def _flows_of(asks: Asks, findings: Sequence[Mapping[str, Any]]) -> FlowsOfFindings:
    """Their flows. Of one with more flows than are listed, all between the same ends, or from the same hosts, in its time."""
    from workbench.policy.draft_history import FlowsOfFindings

    ids = [one["finding_id"] for one in findings]
    sql = """SELECT finding_id, count(*) AS n FROM finding_flows WHERE finding_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY ALL"""
    listed = {row["finding_id"]: row["n"] for row in asks.query(sql, [ids]).to_pylist()}
    more = [one for one in findings if one["flows"] > listed.get(one["finding_id"], 0) and one["first"] is not None]
    sql = """SELECT DISTINCT l.finding_id, f.src_hi, f.src_lo, f.dst_hi, f.dst_lo
        FROM flows f JOIN finding_flows l USING (flow_id)
        WHERE l.finding_id IN (SELECT unnest(?::VARCHAR[])) AND f.src_lo IS NOT NULL AND f.dst_lo IS NOT NULL"""
    ends_of: dict[str, set[tuple[tuple[int, int], tuple[int, int]]]] = {}
    for row in asks.query(sql, [[one["finding_id"] for one in more]]).to_pylist() if more else ():
        pair = (row["src_hi"], row["src_lo"]), (row["dst_hi"], row["dst_lo"])
        ends_of.setdefault(row["finding_id"], set()).add(pair)
    rest: dict[tuple[tuple[int, int], tuple[int, int] | None, int, int], None] = {}
    for one in more:
        ends = ends_of.get(one["finding_id"], set())
        sources, targets = {src for src, _ in ends}, {dst for _, dst in ends}
        if len(targets) > 8 and len(sources) <= 8:
            spans: Iterable[Any] = ((src, None, one["first"], one["last"]) for src in sorted(sources))
        else:
            spans = ((src, dst, one["first"], one["last"]) for src, dst in sorted(ends))
        rest.update(dict.fromkeys(spans))
    return FlowsOfFindings(tuple(one["finding_id"] for one in findings), tuple(rest))


def _subjects(found: Mapping[str, Any], abuse: Sequence[Edge]) -> list[int]:
    """Whom to contain: the address that the finding is about, else everybody who began its flows."""
    from workbench.policy import addresses

    try:
        return [addresses.address(found["subject"])]
    except ValueError:
        sources = sorted({edge.src for edge in abuse})
    if not sources:
        raise UsageError(
            f"finding {found['finding_id']} is about no flow and no address: there is nobody to contain",
            "Draft from a filter instead.",
        )
    if len(sources) > MOST_SUBJECTS:
        raise UsageError(
            f"finding {found['finding_id']} is about {len(sources):,} hosts: more than one containment should hold",
            "Name them with --filter, or contain a finding of one host.",
        )
    return sources
