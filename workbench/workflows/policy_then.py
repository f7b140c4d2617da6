"""The time machine: had a policy been in force since then, which of these flows would it have stopped, and at what cost.

Members are those of each flow's own time. A rule of a length of time holds for that long from then on, and no longer. Flows that
began before are stopped no more, but a rule that cuts existing sessions ends those that go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy.judging import DENY, REJECT, Judged, judge
from workbench.policy.members import Resolver
from workbench.policy.model import Policy, lasts, until
from workbench.policy.recorded import History, moment

if TYPE_CHECKING:
    from workbench.store.pages import Where
    from workbench.store.reader import Question

#: Flows that got through that are named.
MOST_NAMED: Final = 1000


@dataclass(frozen=True, slots=True)
class Then:
    """In force from `since` (us) on. why: what is special about that time, in words.

    Of the flows in question: before (had begun already), cut (of those, ended by the rule), stopped, first_stopped (us), through
    (neither; undetermined ones are among them), passed: ids of the first of those. Of all others: denied, bytes, pairs.
    """

    since: int
    why: str
    before: int
    cut: int
    stopped: int
    first_stopped: int | None
    through: int
    passed: tuple[int, ...]
    denied: int
    bytes: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Thens:
    """The same flows at several times. flows: how many they are; first, last: when the first and the last began, us."""

    flows: int
    first: int
    last: int
    rows: tuple[Then, ...]


def flows_in_question(question: Question, where: Where) -> NDArray[np.int64]:
    """The ids of the flows that a filter keeps."""
    found = question.query(f"SELECT flow_id FROM flows WHERE {where.sql}", where.params)  # noqa: S608  the filter language's
    ids: NDArray[np.int64] = found["flow_id"].to_numpy()
    return ids


def had_been(
    history: History, policy: Policy, resolver: Resolver, ids: NDArray[np.int64], chosen: Sequence[tuple[int, str]] = ()
) -> Thens:
    """What the policy would have done to these flows: from the beginning, from their own times, from chosen ones (us, words)."""
    there = np.isin(history.told.flow_id, ids)
    ts = history.told.ts[there]
    if not len(ts):
        return Thens(0, 0, 0, ())
    first, last = int(ts.min()), int(ts.max())
    times = [(history.begin, "from the beginning"), (first, "as the first of them began")]
    times += [(int(np.quantile(ts, part)), words) for part, words in ((0.25, "a quarter in"), (0.5, "half way"))]
    times += [(last, "as the last of them began"), *chosen]
    rows, seen = [], set()
    for since, why in sorted(times, key=lambda one: one[0]):
        if since not in seen:
            seen.add(since)
            rows.append(_then(history, policy, resolver, ids, since, why))
    return Thens(len(ts), first, last, tuple(rows))


def _then(history: History, policy: Policy, resolver: Resolver, ids: NDArray[np.int64], since: int, why: str) -> Then:
    judged = judge(history, _applied(policy, since), resolver)
    told = judged.history.told
    verdict, decided = judged.intended.verdict[told.row], judged.intended.decided[told.row]
    denied = (verdict == DENY) | (verdict == REJECT)
    theirs, began = np.isin(told.flow_id, ids), told.ts >= since
    cuts = np.array([*(rule.existing == "cut" for rule in judged.rules), False])[decided]  # -1, the default, is the last
    cut = theirs & ~began & (told.ts_end >= since) & denied & cuts
    stopped, through = theirs & began & denied, theirs & began & ~denied
    others = ~theirs & began & denied
    first = told.ts[stopped]
    return Then(
        since, why, int((theirs & ~began).sum()), int(cut.sum()), int(stopped.sum()), int(first.min()) if len(first) else None,
        int(through.sum()), tuple(int(one) for one in told.flow_id[through][:MOST_NAMED]), int(others.sum()),
        int(told.bytes[others].sum()), _pairs(judged, told.row[others]),
    )  # fmt: skip


def _applied(policy: Policy, since: int) -> Policy:
    """The policy as of its push: rules of a length of time end so long after it."""
    at = moment(since)
    rules = [
        rule.model_copy(update={"expires": _end(rule.expires, at)}) if rule.expires is not None and lasts(rule.expires) else rule
        for rule in policy.rules
    ]
    return policy.model_copy(update={"rules": rules})


def _end(text: str, at: datetime) -> str:
    try:
        return until(text, at).isoformat()
    except OverflowError:  # later than any calendar has
        return "9999-12-31T00:00:00Z"


def _pairs(judged: Judged, rows: NDArray[Any]) -> int:
    """Between how many pairs these rows are."""
    which, ends = np.unique(rows), judged.history.ends
    sides = [ends.party[getattr(judged.history.rows, side)[which]].astype(np.int64) for side in ("src", "dst")]
    return len(np.unique(sides[0] << 32 | sides[1]))
