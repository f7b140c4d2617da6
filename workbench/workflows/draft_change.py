"""Drafts that change something: what separates hosts in history, and the smallest repair of a policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import InternalError, PolicyError, UsageError
from workbench.workflows.draft_policy import Options, Suggested, expires_of, finished, wish_of

if TYPE_CHECKING:
    from datetime import datetime

    from workbench.policy.addresses import AddressSet
    from workbench.policy.draft_seen import Edge, LeftOut
    from workbench.policy.members import Selector
    from workbench.policy.model import Policy
    from workbench.store.reader import Asks, CaseReader

#: A draft with nothing said of how.
PLAIN: Final = Options()

#: Connections that ways are looked for in, and those that a repair is held against; more is refused rather than half seen.
MOST_CONNECTIONS: Final = 200_000
MOST_MUST: Final = 20_000

#: Connections of a cut or conflict that are told.
_MOST_TOLD: Final = 10


def separate(
    case: CaseReader,
    sources: str,
    targets: str,
    options: Options = PLAIN,
    *,
    by_bytes: bool = False,
    timed: bool = False,
    keep: str = "",
    filter_text: str = "",
    asks: Asks | None = None,
) -> Suggested:
    """The smallest cut after which nobody of `sources` reaches any of `targets` over what history shows, as a policy.

    sources, targets: addresses, prefixes or names of workloads (`shop/web-*`), comma separated. keep: a filter, of what must
    stay. UsageError where nobody is meant, or what must stay leaves a way open; CancelledError when stopped.
    """
    from workbench.policy.draft_cut import connection
    from workbench.policy.draft_cut import separate as cut_of
    from workbench.policy.draft_history import FlowsOfFindings, plain_edges, read_seen
    from workbench.policy.draft_seen import REASONS
    from workbench.policy.draft_separate import hosts_of, separation, way_text
    from workbench.workflows.show import kept_flows

    expires = expires_of(options)
    question = asks or case.question()
    seen = read_seen(question, kept_flows(case, filter_text), FlowsOfFindings(), most=MOST_CONNECTIONS)
    if any(one.reason.startswith("beyond") for one in seen.left_out):
        raise UsageError(f"history has more than {MOST_CONNECTIONS:,} connections", "Narrow it with --filter, such as to a day.")
    ends = [hosts_of([word.strip() for word in text.split(",") if word.strip()], seen.edges) for text in (sources, targets)]
    for _, nobody in ends:
        if nobody:
            raise UsageError(f"nobody in what was seen is {nobody[0]}", "Name an address, a prefix, or a workload: shop/web-*.")
    if shared := ends[0][0] & ends[1][0]:
        from workbench.policy.addresses import address_text

        raise UsageError(
            f"{address_text(min(shared))} would have to be separated from itself", "Name two sets without a host in common."
        )
    must = plain_edges(question, kept_flows(case, keep))[0] if keep else ()
    found = cut_of(seen.edges, ends[0][0], ends[1][0], by_bytes=by_bytes, timed=timed, keep=[connection(edge) for edge in must])
    if not found.possible:
        raise UsageError(f"what must stay leaves a way open: {way_text(found.way)}", "Let go of one of these connections.")
    made = separation(found, seen.edges, ends[0][0], ends[1][0], wish_of(options, "separate"), expires=expires, timed=timed)
    if not made.holds:
        raise InternalError("a way is left that the cut should have closed", "draft_change.py")
    report = {"kind": "separate", "exact": found.exact, "cut": [_row(edge) for edge in found.cut]}
    left = tuple(one for one in seen.left_out if one.reason == REASONS["impossible"])
    return finished(replace(made.drafted, left_out=left), report)


def repair_policy(
    case: CaseReader, policy: Path, allow: str, block: str, options: Options = PLAIN, asks: Asks | None = None
) -> Suggested:
    """The policy with as few rules added as make flows of one filter get through and those of the other not.

    UsageError where there are none, or a connection must be both; PolicyError where the policy does not load.
    """
    from workbench.policy.draft_history import impossible, plain_edges, workloads
    from workbench.policy.draft_repair import repair
    from workbench.policy.reading import read_policy
    from workbench.workflows.draft_policy import breadth_of
    from workbench.workflows.show import kept_flows

    question = asks or case.question()
    old = read_policy(policy).policy
    sides: list[tuple[Edge, ...]] = []
    left: list[LeftOut] = []
    for text in (allow, block):
        edges, rest = plain_edges(question, kept_flows(case, text), most=MOST_MUST, begun=True) if text else ((), 0)
        if rest:
            raise UsageError(
                f"{text} has more than {MOST_MUST:,} connections", "Narrow the filter: a repair holds for every one."
            )
        if text and not edges:
            raise UsageError(f"no flow is {text}, or of none it was seen who began it", "Widen the filter.")
        sides.append(edges)
        left += impossible(question, kept_flows(case, text)) if text else ()
    known = [who for _, who in workloads(question)]
    found = repair(old, sides[0], sides[1], known, breadth_of(options.breadth))
    if found.conflicts:
        listed = "; ".join(_words(edge) for edge in found.conflicts[:_MOST_TOLD])
        raise UsageError(
            f"{len(found.conflicts):,} connections would have to be let through and stopped: {listed}",
            "Narrow one of the filters.",
        )
    if found.drafted is None:
        raise PolicyError("no place is free before the rules that decide", "Give the first rules higher priorities.")
    changed = _change(case, question, old, found.drafted.policy)
    report = {"kind": "repair", "added": [rule.name for rule in found.added], "packets": changed}
    return finished(replace(found.drafted, left_out=tuple(left)), report)


def _change(case: CaseReader, asks: Asks, old: Policy, new: Policy) -> dict[str, str]:
    """How many packets change their verdict, exactly, in decimal: more than any number of JSON holds.

    Members are as of the case's last packet, as for `policy diff`: by now nobody of an older case holds an address.
    """
    from datetime import UTC, datetime, timedelta

    from workbench.policy.history import resolver_of
    from workbench.policy.resolved import resolve
    from workbench.policy.symbolic import difference
    from workbench.workflows.show import case_now

    now, last = datetime.now(UTC), datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=case_now(case))
    known = resolver_of(asks)

    def members(selector: Selector, at: datetime | None) -> AddressSet:  # noqa: ARG001  of one time, whatever is asked
        return known(selector, last)

    found = difference(resolve(old, members, now), resolve(new, members, now), 1)
    return {"newly_allowed": str(found.allowed.packets), "newly_denied": str(found.denied.packets)}


def _row(edge: Edge) -> dict[str, Any]:
    from workbench.policy.addresses import address_text
    from workbench.policy.draft_text import moment

    return {
        "from": address_text(edge.src), "to": address_text(edge.dst), "service": edge.service.text(), "flows": edge.flows,
        "bytes": edge.bytes, "last": moment(edge.last), "flow_ids": list(edge.ids),
    }  # fmt: skip


def _words(edge: Edge) -> str:
    row = _row(edge)
    return f"{row['from']} to {row['to']} {row['service']}"
