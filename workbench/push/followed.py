"""Rules whose groups follow their workloads: compiled with one stand-in address a selector, whose lines become templates.

The resident repeats such a line for every member (docs/push.md). That the expanded rules mean the policy is not argued but
proven, for the members of the plan and again for those of every update, and each time also for when the lease is over: what
allows has nobody then, what denies has kept everybody. Where it does not hold, members do not follow.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from workbench.errors import BadInputError, PlanError
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.members import Resolver, Selector, nobody
from workbench.policy.model import Policy
from workbench.policy.resolved import Resolved, resolve
from workbench.push import rules
from workbench.push.compiled import Compiled
from workbench.push.plans import selector_text
from workbench.push.resident import workbench_dpu as dpu
from workbench.push.rules import Stage

#: Stand-ins are from here: addresses for documentation of protocols, that no workload has (RFC 6890, RFC 6666). No two are
#: neighbours: those would be written as one prefix.
_V4: Final = int(ipaddress.IPv4Address("192.0.0.64"))
_V6: Final = int(ipaddress.IPv6Address("100::64:0"))
MOST: Final = 90
_DENIES: Final = ("deny", "reject")
_PARTS: Final = "Plan without --lease; groups that are parts of others (except, intersection, cidr with labels) can't follow."


def templates(
    kind: str,
    policy: Policy,
    sets: Mapping[str, Any],
    planned: int,
    serves: AddressSet,
    made: Sequence[Stage],
    sampling: int = 0,
) -> list[str]:
    """The texts of stages with markers for the sets' members.

    PlanError, which says why, where what they expand to is not what the policy means, or would let more through once the
    lease is over.
    """
    if len(sets) > MOST:
        raise PlanError(f"members can't follow: {len(sets)} selectors, of which {MOST} can", "Plan without --lease.")
    stand_ins = {one["selector"]: _stand_in(n) for n, one in enumerate(sets.values())}
    with_them = rules.stages(
        kind, policy, _resolver(stand_ins), planned, serves, made[-1].made.ids, prove_them=False, sampling=sampling
    )
    actions = {f"{policy.metadata.name}/{rule.name}": rule.action for rule in policy.rules}
    for stage in with_them:
        _refuse_opening(policy, stage.resolved)
    found = [_marked(stage.made, list(sets), actions) for stage in with_them]
    members = {name: one["members"] for name, one in sets.items()}
    for text, stage in zip(found, made, strict=True):
        if not _meant(text, stage, members, serves, lapsed=False):
            raise PlanError(
                "members of these groups can't follow: what the rules would become is not what the policy means", _PARTS
            )
        if not _meant(text, stage, members, serves, lapsed=True, policy=policy):
            raise PlanError(
                "members of these groups can't follow: once the lease is over the rules would not deny what the policy does",
                _PARTS,
            )
    return found


def proven(
    text: str, stage: Stage, sets: Mapping[str, Any], members: Mapping[str, list[str]], serves: AddressSet, policy: Policy
) -> bool:
    """Whether a template with these members means what the stage's policy does, under the lease and when that is over."""
    if not all(name in members for name in sets):
        return False
    return all(_meant(text, stage, members, serves, lapsed=over, policy=policy) for over in (False, True))


def _meant(
    text: str, stage: Stage, members: Mapping[str, list[str]], serves: AddressSet, *, lapsed: bool, policy: Policy | None = None
) -> bool:
    resolved = _lapsed(policy, stage.resolved) if lapsed and policy else stage.resolved
    try:
        return rules.prove(stage.made, resolved, dpu.expand(text, dict(members), lapsed), serves).equal
    except BadInputError:  # a marker that is no address of a line
        return False


def _empty(policy: Policy, resolved: Resolved) -> Resolved:
    """The rules of `resolved` where every selector means nobody."""
    return resolve(policy.model_copy(update={"rules": [meant.rule for meant in resolved.rules]}), nobody)


def _lapsed(policy: Policy, resolved: Resolved) -> Resolved:
    """What is to hold when the lease is over: what allows has no members left, what denies has kept them."""
    empty = {meant.rule_id: meant for meant in _empty(policy, resolved).rules}
    kept = [meant if meant.rule.action in _DENIES else empty[meant.rule_id] for meant in resolved.rules]
    return replace(resolved, rules=tuple(kept))


def _refuse_opening(policy: Policy, resolved: Resolved) -> None:
    """PlanError where rules without members would let more through: passes, and allows for whoever is not of a group."""
    for full, empty in zip(resolved.rules, _empty(policy, resolved).rules, strict=True):
        if full.rule.action == "pass" and (full.src != empty.src or full.dst != empty.dst):
            raise PlanError(
                f"{full.rule_id}: who is passed on can't follow: once the lease is over rules behind it would judge them",
                "Plan without --lease, or name addresses in that rule.",
            )
        if full.rule.action == "allow" and (empty.src - full.src or empty.dst - full.dst):
            raise PlanError(
                f"{full.rule_id}: it allows whoever is not in a group, and would allow more when the lease is over", _PARTS
            )


def _stand_in(n: int) -> AddressSet:
    v4, v6 = _V4 + 2 * n, _V6 + 2 * n
    return addresses.prefix(str(ipaddress.IPv4Address(v4))) | addresses.prefix(str(ipaddress.IPv6Address(v6)))


def _resolver(known: Mapping[str, AddressSet]) -> Resolver:
    def resolve(selector: Selector, at: datetime | None) -> AddressSet:  # noqa: ARG001
        return known.get(selector_text(selector), addresses.NONE)

    return resolve


def _marked(made: Compiled, names: Sequence[str], actions: Mapping[str, str]) -> str:
    """Stand-ins as markers; those of lines that let something through are taken away when a lease is over."""
    words = {str(ipaddress.IPv4Address(_V4 + 2 * n)): f"{name}/4" for n, name in enumerate(names)}
    words |= {str(ipaddress.IPv6Address(_V6 + 2 * n)): f"{name}/6" for n, name in enumerate(names)}
    alike = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    form = re.compile(rf"(?<![0-9a-fA-F:.])({alike})(?:/32|/128)?(?![0-9a-fA-F:.])")
    out: list[str] = []
    for line in _without_sets(made.text, form).splitlines(True):
        allows = "" if _denies(line, made, actions) else "!"
        place = 0
        for found in form.finditer(line):
            out += [line[place : found.start()], "@{", words[found[1]], allows, "}"]
            place = found.end()
        out.append(line[place:])
    return "".join(out)


_SET: Final = re.compile(r"\tset (\w+) \{\n[^}]*?elements = \{ ([^}]*) \}\n\t\}\n")


def _without_sets(text: str, form: re.Pattern[str]) -> str:
    """Sets of nft that hold stand-ins, as lines of rules instead, one for each element: a line belongs to a rule, which denies
    or does not, and can be repeated."""
    for block in _SET.finditer(text):
        name, elements = block[1], block[2].split(", ")
        if not any(form.fullmatch(one) for one in elements):
            continue
        text = text.replace(block[0], "")
        lines = [
            [line.replace(f"@{name} ", f"{one} ") for one in elements] if f" @{name} " in line else [line]
            for line in text.splitlines(True)
        ]
        text = "".join(line for some in lines for line in some)
    return text


def _denies(line: str, made: Compiled, actions: Mapping[str, str]) -> bool:
    """Whether a line belongs to a rule that denies: what allows, passes or is nobody's fails closed."""
    cookie = re.search(r"cookie=0x[0-9a-f]{8}([0-9a-f]{8})", line)
    said = re.search(r'comment "([^"]*)"', line)
    rule = made.ids.get(int(cookie[1], 16), "") if cookie else said[1] if said else ""
    return actions.get(rule) in _DENIES
