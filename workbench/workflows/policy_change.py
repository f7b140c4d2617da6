"""What a change of a policy lets through and stops, exactly; and proofs, or packets that contradict them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from workbench.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.policy.lasting import RuleChange
    from workbench.policy.symbolic import Row
    from workbench.store.reader import Question
    from workbench.workflows.policy_at import AsOf
    from workbench.workflows.policy_sides import Sides

Relation = Literal["equal", "contained"]

#: Rows of a difference, and packets that contradict a proof, that are listed.
MOST_ROWS: Final = 1000
MOST_EXAMPLES: Final = 10


@dataclass(frozen=True, slots=True)
class Changed:
    """rows: what gets another verdict. packets: of each kind of change, exactly, those of rows that are not listed too.

    left_out: how many of them are in no row that is listed.
    """

    rows: pa.Table
    packets: dict[str, int]
    left_out: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """statements: what was to be proven, in words, and whether it is so; rows: packets that contradict it."""

    statements: tuple[tuple[str, bool], ...]
    rows: pa.Table
    notes: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether all of it is so."""
        return all(holds for _, holds in self.statements)

    def people(self) -> pa.Table:
        """The rows for a table: the service for its numbers, verdicts before rules, and no column that is empty."""
        there = [n for n in _PEOPLE if n in self.rows.schema.names]
        return self.rows.select([n for n in there if self.rows[n].null_count < max(1, self.rows.num_rows)])


def compare(old: Path, new: Path, moment: AsOf, most: int = MOST_ROWS, question: Question | None = None) -> Changed:
    """What gets another verdict from NEW than from OLD; most rows of each kind of change at most (`symbolic.KINDS`).

    question: of the case whose flows weigh the rows, those of most flows first. PolicyError, MissingPathError as `read_policy`,
    CancelledError when stopped.
    """
    from workbench.policy import symbolic
    from workbench.policy.lasting import rule_changes, sessions
    from workbench.workflows.policy_sides import sides

    both = sides([old, new], moment)
    found = both.names.families_joined(symbolic.difference(both.resolved[0], both.resolved[1], most))
    cut = list(sessions(both.resolved[0], both.resolved[1], most))
    changes = rule_changes(both.resolved[0], both.resolved[1])
    kinds = [*found.kinds(), *cut]
    left_out = sum(part.packets - sum(row.packets for row in part.rows) for _, part in kinds)
    rows = [_row(both, change, row) for change, part in found.kinds() for row in part.rows]
    notes = both.notes
    columns: Sequence[str] = _DIFFERENCE
    if question is not None:
        from workbench.workflows.policy_history import weighed_rows

        rows, told = weighed_rows(question, both, moment, found, rows)
        notes, columns = (*notes, *told), (*_DIFFERENCE, *_HISTORY)
    rows += [_row(both, change, row) for change, part in cut for row in part.rows]
    ending = [one for one in changes if one.key == "expires"]
    rows += [_rule_row(both, one) for one in ending[:most]]
    notes = (*notes, *_noted([one for one in changes if one.key != "expires"] + ending[most:]))
    return Changed(_table(columns, rows), {kind: part.packets for kind, part in kinds if part.packets}, left_out, notes)


def prove_relation(old: Path, new: Path, relation: Relation, moment: AsOf) -> Proof:
    """Whether two policies say the same of every packet, or NEW lets through nothing that OLD stops.

    Now, and once rules of either have ended; the first moment at which it is not so is told. To be equal, sessions that are open
    must be cut and kept alike, too. UsageError for more ends than can be looked behind; else raises as `compare`.
    """
    from workbench.policy import lasting
    from workbench.workflows.policy_sides import sides, when

    both = sides([old, new], moment)
    over = lasting.ends(moment.now, *both.resolved)
    if len(over) > lasting.MOST_ENDS:
        raise UsageError(
            f"rules of these policies end at {len(over):,} different times: {lasting.MOST_ENDS} can be looked behind",
            "Give rules that belong together one time.",
        )
    rows: list[dict[str, Any]] = []
    for end in (None, *over):
        then = both if end is None else replace(both, resolved=tuple(lasting.after(r, moment.now, end) for r in both.resolved))
        rows = _contradictions(then, relation, "" if end is None else f"{end:%Y-%m-%dT%H:%M:%SZ}")
        if rows:
            break
    names = [one.policy.metadata.name for one in both.loaded]
    later = f" and after each of {len(over):,} ends of rules" if len(over) > 1 else " and after the end of a rule" if over else ""
    said = f"{_RELATIONS[relation].format(*_distinct(names))}, {when(moment)}{later}"
    changes = lasting.rule_changes(*both.resolved)
    columns = ("change", "as_of", *_PACKET, "old_verdict", "old_rule", "new_verdict", "new_rule")
    return Proof(((said, not rows),), _table(columns, rows), (*both.notes, *_noted(changes)))


def _contradictions(both: Sides, relation: Relation, as_of: str) -> list[dict[str, Any]]:
    from workbench.policy import symbolic
    from workbench.policy.lasting import sessions

    old, new = both.resolved
    found = symbolic.difference(old, new, MOST_EXAMPLES)
    kinds = [("allowed", found.allowed)]
    if relation == "equal":
        kinds = [*found.kinds(), *sessions(old, new, MOST_EXAMPLES)]
    wrong = [(kind, row) for kind, part in kinds for row in part.rows]
    return [{"change": kind, "as_of": as_of or None, **_judged(both, row, ("old_", "new_"))} for kind, row in wrong]


_RELATIONS: Final = {
    "equal": "{1} gives every packet the verdict that {0} gives, and cuts and keeps sessions alike",
    "contained": "{1} lets through nothing that {0} stops",
}
#: Rules whose keys differ that a note names.
_MOST_NAMED: Final = 20


def _noted(changes: Sequence[RuleChange]) -> list[str]:
    """Rules that differ in what no packet shows, as notes."""
    more = [f"{len(changes) - _MOST_NAMED:,} more rules differ in what no packet shows"] if len(changes) > _MOST_NAMED else []
    return [f"rule {one.words}" for one in changes[:_MOST_NAMED]] + more


def _rule_row(both: Sides, one: RuleChange) -> dict[str, Any]:
    """A rule that ends at another time, as a row of its own."""
    from workbench.policy.wording import services_text

    meant = one.meant
    ends = (both.names.text(meant.src), both.names.text(meant.dst), services_text(meant.boxes))
    return {"change": one.key, **dict(zip(("from", "to", "service"), ends, strict=True)), "example": one.words}


def prove_never(policy: Path, never: Sequence[str], moment: AsOf) -> Proof:
    """Whether a policy stops all of these paths (`A -> B : service`). Raises as `compare`; UsageError for what is no path."""
    from workbench.policy import symbolic
    from workbench.policy.never import parse
    from workbench.workflows.policy_sides import sides, when

    one = sides([policy], moment)
    rows, statements = [], []
    for text in never:
        try:
            path = parse(text, one.loaded[0].policy)
        except ValueError as error:
            raise UsageError(
                f"--never: {error}", "Write groups, prefixes or `any`: --never 'guests -> 10.0.0.0/8 : tcp/22'."
            ) from error
        found = symbolic.let_through(one.resolved[0], *path.packets(one.members[0]), MOST_EXAMPLES)
        rows += [{"path": text, **_judged(one, row, ("",))} for row in found.rows]
        statements.append((f"{one.resolved[0].name} never lets through {text}, {when(moment)}", not found.packets))
    columns = ("path", *_PACKET, "verdict", "rule")
    return Proof(tuple(statements), _table(columns, rows), one.notes)


_DIFFERENCE: Final = ("change", "from", "to", "service", "packets", "example")
_HISTORY: Final = ("flows", "bytes", "pairs", "last_seen", "live", "surviving", "seen_as")
_PACKET: Final = ("src_ip", "src", "dst_ip", "dst", "proto", "src_port", "dst_port", "service")
#: What a table on a terminal shows, of those that there are.
TABLE_COLUMNS: Final = (
    "change", "from", "to", "service", "flows", "bytes", "pairs", "live", "last_seen", "surviving", "seen_as", "example",
    "packets",
)  # fmt: skip
_PEOPLE: Final = (
    "change", "as_of", "path", "src_ip", "src", "dst_ip", "dst", "service", "old_verdict", "new_verdict", "verdict", "old_rule",
    "new_rule", "rule",
)  # fmt: skip
_NUMBERS: Final = ("proto", "src_port", "dst_port")
_COUNTS: Final = ("flows", "bytes", "pairs", "live", "surviving")


def _row(both: Sides, change: str, row: Row) -> dict[str, Any]:
    from workbench.policy import examples
    from workbench.policy.wording import packet_text, services_text

    one = examples.of_row(row)
    return {
        "change": change,
        "from": both.names.text(row.src),
        "to": both.names.text(row.dst),
        "service": services_text(row.services),
        "packets": str(row.packets),
        "example": packet_text(one, both.names.single),
    }


def _judged(of: Sides, row: Row, prefixes: Sequence[str]) -> dict[str, Any]:
    """One packet of a row, and what each policy says of it."""
    from workbench.policy import examples, services
    from workbench.policy.addresses import address_text
    from workbench.policy.deciding import decide

    one = examples.of_row(row)
    box = services.Box((one.proto, one.proto), (0, 65535) if one.proto not in (1, 58) else (one.sport,) * 2, (one.dport,) * 2)
    out: dict[str, Any] = {
        "src_ip": address_text(one.src),
        "src": of.names.address(one.src) or None,
        "dst_ip": address_text(one.dst),
        "dst": of.names.address(one.dst) or None,
        "proto": one.proto,
        "src_port": one.sport,
        "dst_port": one.dport,
        "service": services.texts(box),
    }
    for prefix, resolved in zip(prefixes, of.resolved, strict=True):
        found = decide(resolved, one)
        out |= {f"{prefix}verdict": found.verdict, f"{prefix}rule": found.rule or None}
    return out


def _distinct(names: list[str]) -> list[str]:
    return names if len(set(names)) == len(names) else ["OLD", "NEW"]


def _table(columns: Sequence[str], rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    kinds = {name: pa.int32() for name in _NUMBERS} | {name: pa.int64() for name in _COUNTS}
    kinds["last_seen"] = pa.timestamp("us", "UTC")
    return pa.Table.from_pylist(rows, pa.schema([(name, kinds.get(name, pa.string())) for name in columns]))
