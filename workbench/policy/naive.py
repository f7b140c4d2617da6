"""What a policy means, in the plainest way: one flow, every rule in turn. Slow, and the judge of every other engine.

The initiating direction is judged; replies and related ICMP follow it. Rules are tried by tier, then priority, then as listed;
the first that matches decides, and `pass` skips to the next tier. Where none matches, the default holds between internal ends
and everything else is passed on as `unmanaged`. A flow whose initiator is unknown is undetermined, never allowed.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from workbench.policy import addresses, services
from workbench.policy.members import Resolver, Workload, means, nobody, selector_of
from workbench.policy.model import RESERVED, TIERS, Group, Policy, Rule, lasts, until

#: Verdicts: of rules and the default, of ends that nobody manages, and where nothing can be said.
ALLOW: Final = "allow"
DENY: Final = "deny"
REJECT: Final = "reject"
UNMANAGED: Final = "unmanaged"
UNDETERMINED: Final = "undetermined"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a flow. address: its place (policy.addresses); workload: what it was, where that is known as of the flow."""

    address: int
    workload: Workload | None = None


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a flow. For ICMP sport is the type. at: when; None is now, with rules of a length of time in force."""

    src: End
    dst: End
    proto: int
    sport: int = 0
    dport: int = 0
    at: datetime | None = None
    initiator_known: bool = True


@dataclass(frozen=True, slots=True)
class Judged:
    """verdict; rule: id of the one that decided (`policy/rule`), '' where none did; others: ids that match after it, in order."""

    verdict: str
    rule: str
    others: tuple[str, ...] = ()


def in_order(policy: Policy) -> list[Rule]:
    """Rules in the order in which they are tried."""
    return sorted(policy.rules, key=lambda rule: (TIERS.index(rule.tier), rule.priority))


def judge(policy: Policy, packet: Packet, resolver: Resolver = nobody) -> Judged:
    """The verdict on a packet, the rule that decided and those that would have matched next."""
    if not packet.initiator_known:
        return Judged(UNDETERMINED, "")
    name = policy.metadata.name
    matching = [rule for rule in in_order(policy) if _matches(policy, rule, packet, resolver)]
    decided: Rule | None = None
    passed: set[str] = set()
    for rule in matching:
        if rule.tier in passed:
            continue
        if rule.action == "pass":
            passed.add(rule.tier)
            continue
        decided = rule
        break
    if decided is not None:
        after = matching[matching.index(decided) + 1 :]
        return Judged(decided.action, f"{name}/{decided.name}", tuple(f"{name}/{rule.name}" for rule in after))
    if all(_is_in("internal", end, policy, packet.at, resolver) for end in (packet.src, packet.dst)):
        return Judged(policy.defaults.east_west, f"{name}/default")
    return Judged(UNMANAGED, "")


def in_force(rule: Rule, at: datetime | None) -> bool:
    """Whether a rule has not expired (None: by now). One of a length of time is taken as just applied, in history as well."""
    if rule.expires is None or lasts(rule.expires):
        return True
    moment = at or datetime.now(UTC)
    return moment < until(rule.expires, moment)


def _matches(policy: Policy, rule: Rule, packet: Packet, resolver: Resolver) -> bool:
    if not in_force(rule, packet.at):
        return False
    if (addresses.V4_FIRST <= packet.src.address <= addresses.V4_LAST) != (
        addresses.V4_FIRST <= packet.dst.address <= addresses.V4_LAST
    ):
        return False  # no packet has both families
    return (
        any(_serves(text, packet) for text in rule.services)
        and any(_is_in(word, packet.src, policy, packet.at, resolver) for word in rule.from_)
        and any(_is_in(word, packet.dst, policy, packet.at, resolver) for word in rule.to)
    )


def _serves(text: str, packet: Packet) -> bool:
    return any(
        box.proto[0] <= packet.proto <= box.proto[1]
        and box.sport[0] <= packet.sport <= box.sport[1]
        and box.dport[0] <= packet.dport <= box.dport[1]
        for box in services.parse(text)
    )


def _is_in(word: str, end: End, policy: Policy, at: datetime | None, resolver: Resolver) -> bool:
    if word == "any":
        return True
    if word in RESERVED:
        inside = not policy.internal or any(_covers(text, end.address) for text in policy.internal)
        return inside == (word == "internal")
    if word in policy.groups:
        return _in_group(policy.groups[word], end, policy, at, resolver)
    return _covers(word, end.address)


def _in_group(group: Group, end: End, policy: Policy, at: datetime | None, resolver: Resolver) -> bool:
    if group.cidr and not any(_covers(text, end.address) for text in group.cidr):
        return False
    selector = selector_of(group)
    if selector is not None:
        known = means(selector, end.workload) if end.workload is not None else end.address in resolver(selector, at)
        if not known:
            return False
    if group.union and not any(_is_in(word, end, policy, at, resolver) for word in group.union):
        return False
    if not all(_is_in(word, end, policy, at, resolver) for word in group.intersection):
        return False
    return not any(_is_in(word, end, policy, at, resolver) for word in group.except_)


def _covers(prefix: str, address: int) -> bool:
    """By Python's own arithmetic, not by our ranges."""
    net = ipaddress.ip_network(prefix)
    if addresses.V4_FIRST <= address <= addresses.V4_LAST:
        return net.version == 4 and ipaddress.IPv4Address(address - addresses.V4_FIRST) in net
    return net.version == 6 and ipaddress.IPv6Address(address) in net
