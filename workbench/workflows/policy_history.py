"""Rows of a difference beside what a case recorded: flows, bytes, pairs, last seen, sessions that survive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from workbench.policy.impact import Change, Impact
    from workbench.policy.symbolic import Difference
    from workbench.policy.weighing import Weight
    from workbench.store.reader import Question
    from workbench.workflows.policy_at import AsOf
    from workbench.workflows.policy_sides import Sides

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def weighed_rows(
    question: Question, both: Sides, moment: AsOf, found: Difference, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows, those of most flows first, with those that only members of the past explain; and the sums in words.

    rows: those of `found`, kind by kind. CancelledError when stopped.
    """
    from workbench.policy.history import read_history, resolver_of
    from workbench.policy.impact import compare
    from workbench.policy.judging import judge
    from workbench.policy.weighing import weigh
    from workbench.workflows.policy_coverage import coverage_of

    history, resolver = read_history(question), resolver_of(question)
    old, new = (judge(history, one.policy, resolver, moment.members, lambda: question.stopped) for one in both.loaded)
    impact = compare(history, old, new)
    weighed = weigh(found, impact)
    out = [row | _weight(weight) for row, weight in zip(rows, weighed.rows, strict=True)]
    out += [_apart(impact, change) for change in weighed.apart]
    out.sort(key=lambda row: (-row["flows"], -int(row["packets"] or 0)))
    return out, [*_words(impact), coverage_of(question).line()]


def _weight(weight: Weight) -> dict[str, Any]:
    return {
        "flows": weight.flows,
        "bytes": weight.bytes,
        "pairs": weight.pairs,
        "last_seen": _time(weight.last) if weight.flows else None,
        "live": weight.live,
        "surviving": weight.surviving,
        "seen_as": None,
    }


def _apart(impact: Impact, change: Change) -> dict[str, Any]:
    """Flows whose ends were members when they began, and are none now, or the other way round."""
    from workbench.policy.weighing import called

    rows, ends = impact.new.history.rows, impact.new.history.ends
    return {
        "change": change.kind.removeprefix("newly "),
        "from": called(ends, int(rows.src[change.row])),
        "to": called(ends, int(rows.dst[change.row])),
        "service": change.service,
        "packets": None,
        "example": None,
        "flows": change.flows,
        "bytes": change.bytes,
        "pairs": 1,
        "last_seen": _time(change.last),
        "live": change.live,
        "surviving": change.surviving,
        "seen_as": "members of that time",
    }


def _words(impact: Impact) -> list[str]:
    denied, allowed, doubtful = impact.intended.sums
    pushed = impact.enforced.sums
    said = f"of {impact.flows:,} recorded flows {denied.flows:,} are newly denied and {allowed.flows:,} newly allowed"
    out = [f"{said}, by the members of their time; by those of the push {pushed[0].flows:,} and {pushed[1].flows:,}"]
    if denied.live:
        out.append(
            f"{denied.live:,} sessions that are still open are newly denied; {denied.surviving:,} go on (`existing: keep`)"
        )
    undetermined = {
        "began before": impact.mid_stream,
        "are errors about others": impact.related,
        "are of ports or protocols that there are not": impact.impossible,
        "are of ambiguous ends": impact.ambiguous,
    }
    if any(undetermined.values()):
        said = ", ".join(f"{count:,} {why}" for why, count in undetermined.items() if count)
        out.append(f"undetermined: {said}" + (f"; {doubtful.flows:,} of them newly" if doubtful.flows else ""))
    return out


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
