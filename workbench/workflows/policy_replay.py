"""What a policy would have done to recorded flows: a verdict and the deciding rule for every one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workbench.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.policy.judging import Judged, Verdicts
    from workbench.policy.model import Policy
    from workbench.store.listing import FlowListing
    from workbench.store.reader import CaseReader, Question
    from workbench.workflows.policy_at import AsOf
    from workbench.workflows.policy_coverage import Coverage

#: What the case says of a flow, beside the policy's words.
_FLOW: Final = ("flow_id", "ts", "src_ip", "src_port", "dst_ip", "dst_port", "proto_name")
_BEHIND: Final = ("src_bytes", "dst_bytes")
_TEXTS: Final = ("from", "to", "service", "verdict", "rule", "next_rules", "enforced_verdict", "enforced_rule", "why")

#: What a table on a terminal shows.
TABLE_COLUMNS: Final = ("ts", "from", "to", "service", "verdict", "rule", "enforced_verdict", "why", "next_rules", "flow_id")

#: Questions (who asked whom for what) of which all rules that would have matched next are told; of more only the first is.
MOST_FOLLOWED: Final = 200_000

_DENIED: Final = (1, 2)
_UNDETERMINED: Final = 4
_RELATED: Final = "errors about others"


@dataclass(frozen=True, slots=True)
class Replay:
    """A policy judged on a case's flows. denied: flow_ids that it stops, as intended or as enforced, ascending.

    followed: errors between two ends of which a flow was judged. contested: flows that only the members of
    the push leave undetermined. filtered: whether only flows that a filter keeps were.
    """

    judged: Judged
    denied: NDArray[np.int64]
    counts: dict[str, int]
    enforced_otherwise: int
    reasons: dict[str, int]
    followed: int = 0
    contested: int = 0
    filtered: bool = False

    def words(self) -> list[str]:
        """The sums, for people."""
        flows = sum(self.counts.values())
        verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in self.counts.items() if count)
        out = [f"{flows:,} flows: {verdicts}" if flows else "no flows"]
        if self.reasons:
            out[0] += " (" + ", ".join(f"{count:,} {why}" for why, count in self.reasons.items()) + ")"
        if self.enforced_otherwise:
            out.append(
                f"{self.enforced_otherwise:,} of them would be judged otherwise by the members of the push (enforced_verdict)"
            )
        return out

    def table_columns(self) -> list[str]:
        """What a table on a terminal shows: of what may differ or be in doubt only what does."""
        idle = {"enforced_verdict"} if not self.enforced_otherwise else set()
        idle |= {"why"} if not self.counts["undetermined"] else set()
        return [name for name in TABLE_COLUMNS if name not in idle]

    def conclusion(self, cover: Coverage) -> str:
        """What may be said of the policy by what was recorded: `safe` only where everything was seen, judged and let through."""
        flows = sum(self.counts.values())
        of = " of this filter" if self.filtered else ""
        if len(self.denied):
            return f"{len(self.denied):,} of {flows:,} recorded flows{of} would be stopped"
        why = cover.why_not_safe()
        if self.contested:
            why.append(f"{self.contested:,} flows are of addresses that several claim as of the push")
        if doubt := self.counts["undetermined"] - self.followed:  # an error goes where the flow goes that it is about
            why.append(f"{doubt:,} flows are undetermined")
        if without := self.judged.history.without:
            why.append(f"{without:,} flows without addresses were not judged")
        if not flows:
            why.append("no flow was judged")
        if why:
            return f"no recorded flow{of} would be stopped, which is not proof enough: {'; '.join(why)}"
        seen = f"{100 * cover.share:.1f} % of packets were seen"
        return f"safe by what was recorded: none of {flows:,} flows{of} would be stopped, {seen}"


def replay(question: Question, case: CaseReader, policy: Policy, moment: AsOf, filter_text: str = "") -> Replay:
    """Judge the flows that a filter keeps. FilterError where it is wrong, CancelledError when stopped."""
    import numpy as np

    from workbench.policy.history import read_history, resolver_of
    from workbench.policy.judging import VERDICTS, judge
    from workbench.workflows.show import kept_flows

    history = read_history(question, kept_flows(case, filter_text))
    judged = judge(history, policy, resolver_of(question), moment.members, lambda: question.stopped)
    rows = judged.history.rows
    sums = np.bincount(judged.intended.verdict, weights=rows.flows, minlength=len(VERDICTS))
    stopped = np.isin(judged.intended.verdict, _DENIED) | np.isin(judged.enforced.verdict, _DENIED)
    told = judged.history.told
    otherwise = judged.intended.verdict != judged.enforced.verdict
    counts = {verdict: int(count) for verdict, count in zip(VERDICTS, sums, strict=True)}
    denied = np.sort(told.flow_id[stopped[told.row]])
    reasons, filtered = _reasons(judged), bool(filter_text.strip())
    contested = int(rows.flows[(judged.enforced.ambiguous != 0) & (judged.intended.verdict != _UNDETERMINED)].sum())
    return Replay(judged, denied, counts, int(rows.flows[otherwise].sum()), reasons, _followed(judged), contested, filtered)


def _followed(judged: Judged) -> int:
    """How many errors go between two addresses of which a flow was judged here, either way: they are taken to be about that.

    Those of routers on the way, and those about flows that were not read, are not of them: nothing says what they would follow.
    """
    import numpy as np

    from workbench.policy.recorded import RELATED

    rows, ends = judged.history.rows, judged.history.ends
    if not len(rows):
        return 0
    at = np.stack([ends.hi, ends.lo, ends.people.codes["network"][ends.who].astype(np.int64)], 1)
    place = np.unique(at, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    src, dst = place[rows.src], place[rows.dst]
    pair = np.minimum(src, dst) * (len(place) + 1) + np.maximum(src, dst)
    said = judged.intended.verdict != _UNDETERMINED
    related = (rows.state == RELATED) & np.isin(pair, pair[said])
    return int(rows.flows[related].sum())


def _reasons(judged: Judged) -> dict[str, int]:
    """Why flows are undetermined, and how many."""
    from workbench.policy.recorded import IMPOSSIBLE, MID_STREAM, RELATED

    rows = judged.history.rows
    doubt = judged.intended.verdict == _UNDETERMINED
    said = {
        "in mid-stream": rows.state == MID_STREAM,
        _RELATED: rows.state == RELATED,
        "of ports or protocols that there are not": rows.state == IMPOSSIBLE,
        "of ends that several claim": judged.intended.ambiguous != 0,
    }
    return {why: count for why, where in said.items() if (count := int(rows.flows[where & doubt].sum()))}


def matching(case: CaseReader, question: Question, denied: NDArray[np.int64], filter_text: str) -> int:
    """How many of these flows a filter keeps. FilterError where it is wrong; UsageError for a blank one."""
    import numpy as np

    from workbench.workflows.show import kept_flows

    if not filter_text.strip():
        raise UsageError("--fail-on-denied needs a filter", "Write --fail-on-denied 'flow_id >= 0' for any flow at all.")
    where = kept_flows(case, filter_text)
    kept = f"SELECT flow_id FROM flows WHERE {where.sql}"  # noqa: S608  the compiler's own SQL
    found = question.query(kept, where.params)["flow_id"].to_numpy()
    return int(np.isin(found, denied).sum())


class Rows:
    """A row a flow, by ts, flow_id, streamed; to be closed."""

    def __init__(self, case: CaseReader, replayed: Replay, filter_text: str = "", columns: Sequence[str] | None = None) -> None:
        """columns: of those there are, in the order wanted; default all."""
        import numpy as np
        import pyarrow as pa

        from workbench.workflows.show import list_flows

        self._listing: FlowListing = list_flows(case, (*_FLOW, *_BEHIND), None, filter_text)
        self._told = _Told(replayed.judged)
        had = self._listing.schema
        told = [pa.field(name, pa.string()) for name in _TEXTS]
        whole = pa.schema([*(had.field(name) for name in _FLOW), *told, *(had.field(name) for name in _BEHIND)])
        self._names = list(columns or whole.names)
        self.schema: pa.Schema = pa.schema([whole.field(name) for name in self._names])
        order = np.argsort(replayed.judged.history.told.flow_id, kind="stable")
        self._order, self._ids = order, replayed.judged.history.told.flow_id[order]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Record batches. A flow that came while we were judging is left out."""
        import numpy as np
        import pyarrow as pa

        for batch in self._listing:
            ids = batch.column("flow_id").to_numpy()
            at = np.minimum(np.searchsorted(self._ids, ids), max(0, len(self._ids) - 1))
            there = self._ids[at] == ids if len(self._ids) else np.zeros(len(ids), bool)
            kept = batch.filter(pa.array(there)) if not there.all() else batch
            columns = self._told.columns(self._order[at[there]])
            named = {name: kept.column(name) for name in kept.schema.names} | columns
            yield pa.RecordBatch.from_arrays([named[name] for name in self._names], schema=self.schema)

    def close(self) -> None:
        """Stop, where rows are left."""
        self._listing.close()


class _Told:
    """The words of a judgement, by flow."""

    def __init__(self, judged: Judged) -> None:
        from workbench.policy.weighing import called

        self._judged = judged
        history = judged.history
        rows, ends = history.rows, history.ends
        self._ends = [called(ends, n) for n in range(len(ends))]
        self._services: dict[int, str] = {}
        self._next: dict[int, str] = {}
        self._all = len(rows) <= MOST_FOLLOWED
        name = judged.policy.metadata.name
        self._rules = [*(f"{name}/{rule.name}" for rule in judged.rules), f"{name}/default", None]

    def columns(self, flows: NDArray[np.int64]) -> dict[str, pa.Array]:
        """_TEXTS of some flows, by their places in the history."""
        import numpy as np
        import pyarrow as pa

        rows = self._judged.history.rows
        row = self._judged.history.told.row[flows]
        once, place = np.unique(row, return_inverse=True)
        words: dict[str, list[str | None]] = {
            "from": [self._ends[n] for n in rows.src[once].tolist()],
            "to": [self._ends[n] for n in rows.dst[once].tolist()],
            "service": [self._service(n) for n in (rows.proto[once].astype(np.int64) << 16 | rows.service[once]).tolist()],
            "next_rules": [self._following(n) for n in once.tolist()],
            "why": [self._why(n) for n in once.tolist()],
            **self._verdicts("", self._judged.intended, once),
            **self._verdicts("enforced_", self._judged.enforced, once),
        }
        codes = pa.array(place.astype(np.int32))
        return {name: pa.array(texts, pa.string()).take(codes) for name, texts in words.items()}

    def _verdicts(self, prefix: str, verdicts: Verdicts, once: NDArray[np.int32]) -> dict[str, list[str | None]]:
        from workbench.policy.judging import VERDICTS

        found, decided = verdicts.verdict[once].tolist(), verdicts.decided[once].tolist()
        rules = [
            self._rules[rule] if rule >= 0 else self._rules[-1 if VERDICTS[verdict] in ("unmanaged", "undetermined") else -2]
            for verdict, rule in zip(found, decided, strict=True)
        ]
        return {f"{prefix}verdict": [VERDICTS[verdict] for verdict in found], f"{prefix}rule": rules}

    def _service(self, asked: int) -> str:
        from workbench.policy.impact import service_text

        if asked not in self._services:
            self._services[asked] = service_text(asked >> 16, asked & 0xFFFF)
        return self._services[asked]

    def _following(self, row: int) -> str | None:
        """All rules that would have matched next; of very many questions the first of them."""
        if row not in self._next:
            if self._all:
                self._next[row] = ", ".join(self._judged.others(row))
            else:
                rule = int(self._judged.intended.following[row])
                self._next[row] = (self._rules[rule] or "") if rule >= 0 else ""
        return self._next[row] or None

    def _why(self, row: int) -> str | None:
        from workbench.policy.recorded import IMPOSSIBLE, MID_STREAM, RELATED

        if self._judged.intended.verdict[row] != _UNDETERMINED:
            return None
        if self._judged.intended.ambiguous[row]:
            return "ambiguous"
        reasons = {MID_STREAM: "mid-stream", RELATED: "related", IMPOSSIBLE: "impossible"}
        return reasons.get(int(self._judged.history.rows.state[row]))
