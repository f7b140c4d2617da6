"""Rules of a target from a policy, and the proof that they mean the same; one way in for every kind of target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from workbench.errors import UsageError
from workbench.policy.addresses import AddressSet
from workbench.policy.members import Resolver
from workbench.policy.model import Policy, until
from workbench.policy.resolved import Resolved, resolve
from workbench.push.compiled import Compiled, OvsLayout, Sampling
from workbench.push.proof import Proof


@dataclass(frozen=True, slots=True)
class Stage:
    """Rules that hold until a time (None: for good). proof: that they mean `resolved`."""

    until: int | None
    resolved: Resolved
    made: Compiled
    proof: Proof


def stages(
    kind: str,
    policy: Policy,
    resolver: Resolver,
    planned: int,
    serves: AddressSet,
    before: Mapping[int, str] | None = None,
    prove_them: bool = True,
    sampling: int = 0,
) -> list[Stage]:
    """What holds one after the other as rules end: each compiled and proven.

    planned: seconds since 1970, from which rules of a length of time count. sampling: one in how many packets of rules with
    `log` Open vSwitch tells; 0: none. PolicyError names the rule that can't be compiled.
    """
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=planned)
    ends = {rule.name: int(until(rule.expires, at).timestamp()) for rule in policy.rules if rule.expires is not None}
    borders = sorted({end for end in ends.values() if end > planned})
    found: list[Stage] = []
    ids = dict(before or {})
    for begin, end in zip([planned, *borders], [*borders, None], strict=True):
        left = [rule.model_copy(update={"expires": None}) for rule in policy.rules if ends.get(rule.name, begin + 1) > begin]
        resolved = resolve(policy.model_copy(update={"rules": left}), resolver, at)
        made = compile_rules(kind, resolved, ids, serves, sampling)
        ids = dict(made.ids)
        proof = prove(made, resolved, None, serves) if prove_them else Proof(False, (), ("nobody has looked",), 0)
        found.append(Stage(end, resolved, made, proof))
    return found


def compile_rules(
    kind: str, resolved: Resolved, before: Mapping[int, str] | None, serves: AddressSet, sampling: int = 0
) -> Compiled:
    """The rules of a target of that kind; sampling as for `stages`. UsageError where there are none for it."""
    layout = OvsLayout(sampling=Sampling.one_in(sampling)) if kind == "ovs" else None
    made: Compiled = _compiler(kind).compile_rules(resolved, layout, before, serves)
    return made


def prove(made: Compiled, resolved: Resolved, said: str | None, serves: AddressSet) -> Proof:
    """Whether rules mean the policy: as compiled, or as a target said that it runs them."""
    proof: Proof = _compiler(made.kind).prove(made, resolved, said, serves)
    return proof


def _compiler(kind: str) -> Any:
    from workbench.push import nft, ovs

    found = {"ovs": ovs, "nft": nft}.get(kind)
    if found is None:
        raise UsageError(f"there are no rules for {kind}", "There are: ovs, nft.")
    return found
