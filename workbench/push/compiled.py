"""What a policy becomes on a target: text that is loaded in one transaction, and everything that must be known about it.

The compilers (push/ovs, push/nft) make it, `workbench policy compile` shows it, the resident on the DPU applies it.
docs/compile.md has the tables, cookies and limits of each target.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from workbench.policy.resolved import Resolved

#: Numbers of what is no rule of the policy. A rule's name begins with a letter, so that ids in parentheses are nobody's.
DEFAULT: Final = 0xFFFFFF00
UNMANAGED: Final = 0xFFFFFF01
ESTABLISHED: Final = 0xFFFFFF02
INVALID: Final = 0xFFFFFF03
OTHER: Final = 0xFFFFFF04
ADOPTED: Final = 0xFFFFFF05
PLUMBING: Final = 0xFFFFFF06
SPECIAL: Final = {
    DEFAULT: "default",
    UNMANAGED: "unmanaged",
    ESTABLISHED: "(established)",
    INVALID: "(invalid)",
    OTHER: "(not-judged)",
    ADOPTED: "(adopted)",
    PLUMBING: "(plumbing)",
}
#: Observation points of ours begin with this byte; the number of the rule is the rest.
_POINTS: Final = 0x57000000


@dataclass(frozen=True, slots=True)
class Sampling:
    """How OVS may tell of packets of rules with `log`. probability: of 65535; the set is a row of Flow_Sample_Collector_Set."""

    probability: int = 65535
    collector_set: int = 0x5742
    domain: int = 0x57424331

    @classmethod
    def one_in(cls, packets: int) -> Sampling | None:
        """One in so many packets; None for 0, which is none."""
        return cls(max(1, 65535 // packets)) if packets > 0 else None


def point(number: int) -> int:
    """The observation point under which Open vSwitch tells of a rule: marked, since exporters of whole bridges use small ones."""
    return _POINTS | number


@dataclass(frozen=True, slots=True)
class OvsLayout:
    """Where our flows are on a bridge. ours: upper 32 bits of the cookie; table: the first of 18; register: 15 is reg15."""

    ours: int = 0x57424331
    table: int = 200
    zone: int = 64200
    register: int = 15
    sampling: Sampling | None = None


@dataclass(frozen=True, slots=True)
class NftLayout:
    """Where our rules are in netfilter: one table of family inet; hooks of its base chains, and their priority."""

    table: str = "workbench_policy"
    hooks: tuple[str, ...] = ("forward",)
    priority: int = -10


@dataclass(frozen=True, slots=True)
class Note:
    """What a person should know before this is loaded. kind: `reject`, `log`, `family`, `expires`, `cut`, `sctp`."""

    kind: str
    rule_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """rules: of the policy; lines: flows or nft rules; size: bytes of the text; per_rule: lines by rule id, most first."""

    rules: int
    lines: int
    size: int
    elements: int = 0
    per_rule: tuple[tuple[str, int], ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """One policy for one target.

    text: what `ovs-ofctl --bundle add-flows BRIDGE -` or `nft -f -` loads at once, taking away what of ours was there before.
    adopt: the same, but everything passes and what is live becomes known to connection tracking: for a target's first time.
    remove: takes away all that is ours.
    ids: rule ids by number. A number is the lower half of the cookie on ovs, and is kept from version to version.
    cut: numbers of rules that also stop established connections. Nothing is to be flushed: connection tracking remembers
    which those are until they are idle.
    expires: by number, `2h` counted from apply or a time with its zone. On expiry the resident takes away what has the rule's
    cookie (ovs) or comment (nft): what is left is the policy without that rule.
    """

    kind: Literal["ovs", "nft"]
    policy: str
    text: str
    adopt: str
    remove: str
    ids: Mapping[int, str]
    layout: OvsLayout | NftLayout
    report: Report
    cut: tuple[int, ...] = ()
    expires: Mapping[int, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def numbered(resolved: Resolved, before: Mapping[int, str] | None = None) -> dict[int, str]:
    """A number for every rule id, from 0; ids of `before` keep theirs, and theirs are not given to others.

    Connections that are live know the rule that let them in by its number: it must not come to mean another rule.
    """
    known = {rule_id: number for number, rule_id in (before or {}).items() if number < DEFAULT}
    out = {number: rule_id for rule_id, number in known.items()}
    free = max(out, default=-1) + 1
    for meant in resolved.rules:
        if meant.rule_id not in known:
            known[meant.rule_id] = free
            out[free] = meant.rule_id
            free += 1
    return dict(sorted(out.items())) | {number: f"{resolved.name}/{name}" for number, name in SPECIAL.items()}
