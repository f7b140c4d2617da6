"""A policy's own tests: each holds for every packet it speaks of, or there is one for which it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from workbench.policy import examples
from workbench.policy.asking import Asked
from workbench.policy.deciding import Decided, decide
from workbench.policy.loader import Loaded
from workbench.policy.members import Members, Resolver, nobody
from workbench.policy.model import Test
from workbench.policy.resolved import boxes_of, resolve
from workbench.policy.rows import Example
from workbench.policy.stand_ins import StandIns, unknown_groups


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test. example: a packet that fails it, else one that it speaks of; None where there is no such packet at all.

    verdict, rule: of the example. stood_in: groups whose workloads are not known and were thought up (stand_ins); called: what
    their addresses stand for.
    """

    test: Test
    passed: bool
    verdict: str
    rule: str
    example: Example | None
    stood_in: tuple[str, ...]
    called: Mapping[int, str]
    file: str
    line: int


def check(loaded: Loaded, resolver: Resolver = nobody, at: datetime | None = None) -> list[Outcome]:
    """Every test of a policy, in order. at: members and rules as of then, default now."""
    policy = loaded.policy
    if not policy.tests:
        return []
    moment = at or datetime.now(UTC)
    stand_ins = StandIns([policy], resolver)
    members = Members(policy, stand_ins, moment)
    resolved = resolve(policy, stand_ins, moment)
    products = [(members.peer(test.from_), members.peer(test.to), boxes_of([test.service])) for test in policy.tests]
    asked = Asked(resolved, products)
    out = []
    for n, test in enumerate(policy.tests):
        stood_in = tuple(unknown_groups(policy, (test.from_, test.to), stand_ins.used))
        verdicts = asked.verdicts(n)
        wrong = sorted(verdicts - {test.expect})
        example = asked.packet(n, wrong[0]) if wrong else examples.of_sets(*products[n])
        found = decide(resolved, example) if example is not None else Decided("", "")
        called = stand_ins.called() if stood_in else {}
        passed = bool(verdicts) and not wrong
        out.append(Outcome(test, passed, found.verdict, found.rule, example, stood_in, called, *loaded.where("tests", n)))
    return out
