"""A prover that knows nothing of our sets says the same: the rows of a difference are all of it, and nothing else."""

import ipaddress
import random
from typing import Any

import pytest
import z3

from tests.policy import made
from workbench.policy import addresses, services
from workbench.policy.members import selector_of
from workbench.policy.model import Policy
from workbench.policy.naive import in_force, in_order
from workbench.policy.resolved import resolve
from workbench.policy.symbolic import BLOCKED, Rows, difference

SRC, DST = z3.BitVecs("src dst", 128)
PROTO, SPORT, DPORT = z3.BitVec("proto", 8), z3.BitVec("sport", 16), z3.BitVec("dport", 16)
STARTS_V4 = [z3.LShR(end, 32) == 0xFFFF for end in (SRC, DST)]


def between(value: Any, ends: tuple[int, int]) -> Any:
    return z3.And(z3.UGE(value, ends[0]), z3.ULE(value, ends[1]))


def within(text: str, end: Any) -> Any:
    net = ipaddress.ip_network(text)
    shift = 0xFFFF << 32 if net.version == 4 else 0
    v4 = z3.LShR(end, 32) == 0xFFFF
    inside = between(end, (int(net[0]) + shift, int(net[-1]) + shift))
    return z3.And(inside, v4 if net.version == 4 else z3.Not(v4))


def peer(word: str, end: Any, policy: Policy) -> Any:
    if word == "any":
        return z3.BoolVal(True)
    if word in ("internal", "external"):
        inside = z3.Or([within(text, end) for text in policy.internal]) if policy.internal else z3.BoolVal(True)
        return inside if word == "internal" else z3.Not(inside)
    if word not in policy.groups:
        return within(word, end)
    group = policy.groups[word]
    parts = [z3.Or([within(text, end) for text in group.cidr])] if group.cidr else []
    if (selector := selector_of(group)) is not None:
        held = made.resolver(selector, made.NOW)
        parts.append(z3.Or([between(end, span) for span in held.ranges]))
    if group.union:
        parts.append(z3.Or([peer(name, end, policy) for name in group.union]))
    parts += [peer(name, end, policy) for name in group.intersection]
    parts += [z3.Not(peer(name, end, policy)) for name in group.except_]
    return z3.And(parts)


def box(one: services.Box) -> Any:
    return z3.And(between(PROTO, one.proto), between(SPORT, one.sport), between(DPORT, one.dport))


def stopped(policy: Policy) -> Any:
    """Rules from the last to the first, each before what comes after it; a pass goes on behind its tier."""
    default = z3.BoolVal(policy.defaults.east_west in BLOCKED)
    out = z3.And(default, peer("internal", SRC, policy), peer("internal", DST, policy))
    behind, tier = out, ""
    for rule in reversed([rule for rule in in_order(policy) if in_force(rule, made.NOW)]):
        if rule.tier != tier:
            behind, tier = out, rule.tier
        matches = z3.And(
            z3.Or([box(one) for text in rule.services for one in services.parse(text)]),
            z3.Or([peer(word, SRC, policy) for word in rule.from_]),
            z3.Or([peer(word, DST, policy) for word in rule.to]),
        )
        out = z3.If(matches, behind if rule.action == "pass" else z3.BoolVal(rule.action in BLOCKED), out)
    return out


def listed(rows: Rows) -> Any:
    def ends(end: Any, found: addresses.AddressSet) -> Any:
        return z3.Or([between(end, span) for span in found.ranges])

    return z3.Or([z3.And(ends(SRC, row.src), ends(DST, row.dst), z3.Or([box(one) for one in row.services])) for row in rows.rows])


def confirm(seed: int) -> None:
    """Two policies by a number: the rows of their difference are all of it and nothing else."""
    dice = random.Random(seed)
    old, new = made.policy(dice, 4), made.policy(dice, 4)
    found = difference(resolve(old, made.resolver, made.NOW), resolve(new, made.resolver, made.NOW), 100_000)
    before, after = stopped(old), stopped(new)
    for rows, meant in ((found.allowed, z3.And(before, z3.Not(after))), (found.denied, z3.And(after, z3.Not(before)))):
        solver = z3.Solver()
        solver.add(STARTS_V4[0] == STARTS_V4[1], meant != listed(rows))
        assert solver.check() == z3.unsat, solver.model()


@pytest.mark.parametrize("seed", range(300, 312))
def test_a_prover_finds_no_packet_for_which_the_rows_are_wrong(seed: int) -> None:
    confirm(seed)
