"""What an editor asks of a policy's text: its mistakes and oddities by line, who its groups mean, its tests, what it changes.

Nothing here raises for what the text says: a text that does not load is answered with its mistakes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from workbench.errors import PolicyError
from workbench.policy import addresses
from workbench.policy.loader import Loaded, load
from workbench.policy.members import Members, Resolver, nobody
from workbench.policy.model import Defaults
from workbench.policy.resolved import Resolved, resolve
from workbench.workflows.policy_at import AsOf
from workbench.workflows.policy_sides import sides_of, when

if TYPE_CHECKING:
    from workbench.policy import symbolic
    from workbench.store.reader import Question

#: Names and prefixes that are listed of one group; of a difference, its rows.
_MOST_MEMBERS: Final = 200
_MOST_ROWS: Final = 500

#: Kinds of change in words, in the order in which they are told.
WAYS: Final = {
    "denied": "newly denied",
    "allowed": "newly allowed",
    "rejected": "denied before, rejected now",
    "silenced": "rejected before, denied now",
    "managed": "unmanaged before, allowed now",
    "unmanaged": "allowed before, unmanaged now",
    "cut": "open sessions cut now",
    "kept": "open sessions kept now",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a line (from 1). severity: error, warning or note."""

    severity: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Who:
    """A group as of a time: how many addresses, the first prefixes, names of workloads that have one, and its line."""

    group: str
    addresses: int
    prefixes: tuple[str, ...]
    names: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Tried:
    """One of the policy's own tests. got, rule: of `packet`, one that fails it, else any that it speaks of."""

    name: str
    src: str
    dst: str
    service: str
    expect: str
    got: str
    rule: str
    packet: str
    passed: bool
    line: int


@dataclass(frozen=True, slots=True)
class Read:
    """A text as far as it could be read. loaded and resolved: None where it does not load, which `remarks` then says."""

    text: str
    at: datetime | None
    loaded: Loaded | None = None
    resolved: Resolved | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def name(self) -> str:
        """What the policy calls itself; '' where it does not load."""
        return self.loaded.policy.metadata.name if self.loaded is not None else ""


@dataclass(frozen=True, slots=True)
class Changed:
    """Packets that are judged otherwise. way: of symbolic.KINDS or lasting.SESSIONS; packets: how many headers, exactly."""

    way: str
    src: str
    dst: str
    services: str
    packets: int


@dataclass(frozen=True, slots=True)
class Proof:
    """The exact difference to what it is compared with: of all packets that can be, nothing but these rows changes.

    counts: headers of every way that there is, those of rows that were left out included. examples: one packet of each.
    rules: those that differ in what no packet shows now, in words. when: as of when this is. notes: what else to know.
    """

    rows: tuple[Changed, ...]
    counts: dict[str, int]
    examples: tuple[str, ...]
    rules: tuple[str, ...] = ()
    when: str = ""
    notes: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether both judge every packet alike and treat its session alike."""
        return not self.counts


def read(text: str, resolver: Resolver, at: datetime | None) -> Read:
    """Load and resolve; members as of `at`, None: now. Quick: what costs more is `remarks`, `who`, `tried` and `proof`."""
    try:
        loaded = load([("policy", text)])
    except PolicyError as error:
        problems = [Remark("error", p.line, f"{p.key + ': ' if p.key else ''}{p.why}") for p in error.problems]
        return Read(text, at, remarks=tuple(problems))
    try:
        members = Members(loaded.policy, resolver, at)
        for group in loaded.policy.groups:
            members.peer(group)
        return Read(text, at, loaded, resolve(loaded.policy, resolver, at))
    except PolicyError as error:  # it loads, and is too large
        return Read(text, at, remarks=(Remark("error", 1, error.message),))


def remarks(found: Read, resolver: Resolver) -> tuple[Remark, ...]:
    """What is odd about a policy that loads, by line; the mistakes of one that does not."""
    if found.loaded is None:
        return found.remarks
    from workbench.policy.lint import lint  # as all that needs diagrams: what does not is told without waiting for their kernels

    try:
        said = lint(found.loaded, resolver, found.at)
    except PolicyError as error:  # with those who stand in it is too large, or contradictions take too long to find
        return (Remark("error", 1, error.message),)
    return tuple(Remark(one.severity, one.line, f"{one.rule + ': ' if one.rule else ''}{one.message}") for one in said)


def who(found: Read, resolver: Resolver, held: Sequence[tuple[str, int]]) -> tuple[Who, ...]:
    """Who each group means at the time. held: names of workloads with an address each that they have then."""
    if found.loaded is None:
        return ()
    policy = found.loaded.policy
    members = Members(policy, resolver, found.at)
    out = []
    for group in policy.groups:
        those = members.peer(group)
        names = sorted({name for name, address in held if _has(those, address)})
        line = found.loaded.where("groups", group)[1]
        texts = tuple(those.texts()[:_MOST_MEMBERS])
        out.append(Who(group, those.count(), texts, tuple(names[:_MOST_MEMBERS]), line))
    return tuple(out)


def _has(those: addresses.AddressSet, address: int) -> bool:
    """By bisection: groups of ten thousand workloads have as many ranges."""
    at = bisect_right(those.ranges, (address, addresses.LAST)) - 1
    return at >= 0 and those.ranges[at][1] >= address


def tried(found: Read, resolver: Resolver) -> tuple[Tried, ...]:
    """The policy's own tests, each for every packet that it speaks of, with one for which it fails where there is one."""
    if found.loaded is None:
        return ()
    from workbench.policy.expected import check

    try:
        outcomes = check(found.loaded, resolver, found.at)
    except PolicyError:  # `remarks` say so
        return ()
    out = []
    for one in outcomes:
        test, packet = one.test, "" if one.example is None else packet_words(one.example)
        got = one.verdict or "no packet"
        out.append(Tried(test.name, test.from_, test.to, test.service, test.expect, got, one.rule, packet, one.passed, one.line))
    return tuple(out)


def proof(old: Read | None, new: Read, resolver: Resolver = nobody, *, known: bool = False) -> Proof:
    """What the new one changes; old: None, or a text that does not load, is nothing in force, where everything passes.

    As `workbench policy diff` has it, with workloads thought up where nobody is known. known: whether a case is asked.
    ValueError where the new one does not load.
    """
    from workbench.policy import lasting, symbolic
    from workbench.policy.wording import packet_text, services_text

    if new.loaded is None:
        raise ValueError("the text does not load")
    before = old.loaded if old is not None else None
    if before is None:
        empty = new.loaded.policy.model_copy(update={"rules": [], "defaults": Defaults(east_west="allow")})
        before = replace(new.loaded, policy=empty)
    now = new.at or datetime.now(UTC)
    moment = AsOf(now, now, resolver, known)
    both = sides_of((before, new.loaded), moment)
    one, other = both.resolved
    found = both.names.families_joined(symbolic.difference(one, other, _MOST_ROWS))
    rows: list[Changed] = []
    examples: list[str] = []
    counts: dict[str, int] = {}
    for way, part in (*found.kinds(), *lasting.sessions(one, other, _MOST_ROWS)):
        if not part.packets:
            continue
        counts[way] = part.packets
        ends = ((both.names.text(r.src, 8), both.names.text(r.dst, 8), r) for r in part.rows)
        rows += [Changed(way, src, dst, services_text(r.services, 8), r.packets) for src, dst, r in ends]
        if part.example is not None:
            examples.append(f"{WAYS[way]}: {packet_text(part.example, both.names.single)}")
    rules = tuple(change.words for change in lasting.rule_changes(one, other))
    return Proof(tuple(rows), counts, tuple(examples), rules, when(moment), both.notes)


def packet_words(one: symbolic.Example) -> str:
    """One packet: `10.0.0.5 -> 10.0.0.6 : tcp/427 from port 49152`."""
    from workbench.policy.wording import packet_text

    return packet_text(one)


def held_at(question: Question, at: datetime | None) -> list[tuple[str, int]]:
    """Names of workloads with each address that they had at a time (None: the newest that is known)."""
    moment = at or datetime.now(UTC)
    us = int(moment.timestamp() * 1e6)
    when = "(ts_from IS NULL OR epoch_us(ts_from) <= $1) AND (ts_to IS NULL OR epoch_us(ts_to) > $1)"
    sql = f"SELECT DISTINCT namespace, name, ip FROM workloads WHERE claimants = 1 AND {when} LIMIT 100000"  # noqa: S608  constants
    out = []
    for row in question.query(sql, [us]).to_pylist():
        name = row["name"] or ""
        try:
            address = addresses.address(row["ip"])
        except ValueError:  # a stranger's row
            continue
        out.append((f"{row['namespace']}/{name}" if row["namespace"] else name, address))
    return out
