"""The containment of what a finding is about: its subject cut off on what was abused, and what else that would have stopped.

An overlay: whatever else is in force stays so, since guards `pass` to it and the default allows. It ends by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workbench.policy import addresses
from workbench.policy.draft import Drafted, Wish
from workbench.policy.draft_guards import kept
from workbench.policy.draft_judged import judge
from workbench.policy.draft_peers import is_group, one
from workbench.policy.draft_rules import joined
from workbench.policy.draft_seen import Edge, Evidence, Service, summed
from workbench.policy.draft_text import Groups, Names, amount, evidence_note, flows, moment, service_word
from workbench.policy.model import Policy

#: Services that are named one by one; of more, their whole protocols are cut.
MOST_SERVICES: Final = 32

#: Rows of collateral that are listed.
MOST_LISTED: Final = 50

#: Guards that even an isolated host keeps: without them it falls off the network and nobody can look at it.
_BARE: Final = ("guard-neighbours", "guard-dhcp", "guard-management", "guard-collectors")


@dataclass(frozen=True, slots=True)
class Collateral:
    """What else a draft would have stopped, by ends and service; rows widest first, at most MOST_LISTED."""

    flows: int
    bytes: int
    last: int
    peers: int
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Contained:
    """stopped: of how many of the finding's flows (`whole`) the draft would have stopped."""

    drafted: Drafted
    stopped: int
    whole: int
    collateral: Collateral


def contain(
    subjects: Sequence[int],
    abuse: Sequence[Edge],
    others: Sequence[Edge],
    servers: Sequence[Edge],
    wish: Wish,
    *,
    expires: str,
    about: str,
) -> Contained:
    """Cut these addresses off. abuse: the finding's flows; others: all else that history has of the subjects.

    servers: what history shows of names, time and the like, whoever used them: where guards lead.

    breadth: `exact` cuts them from those they met, on what was abused; up to `tight` from everybody; at `subnets` on every
    service, guards aside; at `broad` without the guards for names and time.
    """
    held = set(subjects)
    groups = Groups(Names())
    who = _who(sorted(held), groups)
    out = [edge for edge in abuse if edge.src in held]
    back = [edge for edge in abuse if edge.dst in held]
    served, note = _services([edge.service for edge in (*out, *back)], wish.breadth)
    peers = sorted({edge.dst for edge in out} | {edge.src for edge in back} - held)
    others_are = [one(peer) for peer in peers if not is_group(peer)]
    words = groups.words(others_are, "peers") if wish.breadth == 0 and others_are else ["any"]
    guards = wish.guards if wish.breadth < 4 else tuple(guard for guard in wish.guards if guard.name in _BARE)
    rules: list[dict[str, Any]] = []
    evidence: dict[str, Evidence] = {}
    inside = addresses.of_ranges((address, address) for address in held)
    for found in kept(guards, servers, abuse, inside, groups):
        src, dst = found.rule["from"], found.rule["to"]
        if src not in (["any"], ["internal"]) or dst == ["internal"]:
            continue  # it was abused, or leads to no server that was seen
        src = who if src == ["internal"] else src
        rules.append({**found.rule, "action": "pass", "from": src, "tier": "quarantine", "priority": 10 * (len(rules) + 1)})
        evidence[found.rule["name"]] = found.evidence
    for name, src, dst, seen in (("contain-from", who, words, out), ("contain-to", words, who, back)):
        rules.append(_cut(name, src, dst, served, expires, about))
        evidence[name] = summed(seen)
        evidence[name].notes = [evidence_note(evidence[name]).replace("seen:", "part of the finding:"), *note]
    policy = overlay(wish, rules, groups)
    stopped = sum(edge.flows for edge, no in zip(abuse, judge(policy, abuse).stopped, strict=True) if no)
    also = collateral(policy, others)
    drafted = Drafted(policy, evidence, (), tuple(_notes(about, stopped, summed(abuse).flows, also)), wish.breadth)
    return Contained(drafted, stopped, summed(abuse).flows, also)


def collateral(policy: Policy, others: Sequence[Edge]) -> Collateral:
    """What of these flows a policy would have stopped."""
    edges = [edge for edge, no in zip(others, judge(policy, others).stopped, strict=True) if no]
    by: dict[tuple[int, int, Service], list[Edge]] = defaultdict(list)
    for edge in edges:
        by[edge.src, edge.dst, edge.service].append(edge)
    rows: list[dict[str, Any]] = [
        {
            "from": addresses.address_text(src), "to": addresses.address_text(dst), "service": service.text(),
            "from_name": _called(theirs, "src_who"), "to_name": _called(theirs, "dst_who"),
            "flows": (found := summed(theirs)).flows, "bytes": found.bytes,
            "first": moment(found.first), "last": moment(found.last), "flow_ids": list(found.ids),
        }
        for (src, dst, service), theirs in by.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (-row["flows"], -row["bytes"], row["from"], row["to"], row["service"]))
    whole = summed(edges)
    peers = {edge.dst for edge in edges} | {edge.src for edge in edges}
    return Collateral(whole.flows, whole.bytes, whole.last, len(peers), tuple(rows[:MOST_LISTED]))


def _called(edges: Sequence[Edge], side: str) -> str:
    return next((who.name for edge in edges if (who := getattr(edge, side)) is not None), "")


def _who(held: Sequence[int], groups: Groups) -> list[str]:
    return groups.words([one(address) for address in held], "subject")


def _services(seen: Sequence[Service], breadth: int) -> tuple[list[str], list[str]]:
    """What to cut, as texts, and what is to be said of it."""
    if breadth >= 3 or not seen:
        return ["any"], ["every service, whatever was abused"]
    listed = joined(seen)
    if len(listed) <= MOST_SERVICES:
        return [service.text() for service in listed], [
            f"abused: {', '.join(dict.fromkeys(service_word(one) for one in listed[:8]))}"
        ]
    whole = sorted({Service(service.proto).proto for service in listed})
    texts = [_protocol(proto) for proto in whole]
    return texts, [f"{len(listed)} services were abused: {', '.join(texts)} are cut as a whole"]


def _protocol(proto: int) -> str:
    service = Service(proto, 0, 65535) if Service(proto).ported else Service(proto)
    return service.text()


def _cut(name: str, src: Sequence[str], dst: Sequence[str], served: Sequence[str], expires: str, about: str) -> dict[str, Any]:
    return {
        "name": name, "tier": "quarantine", "priority": 1000, "action": "deny", "from": list(src), "to": list(dst),
        "services": list(served), "existing": "cut", "expires": expires, "log": True, "description": about[:400],
    }  # fmt: skip


def overlay(wish: Wish, rules: Sequence[Mapping[str, Any]], groups: Groups) -> Policy:
    """A policy of these rules and no more: what they do not say is allowed, or said by others. Groups that none names go."""
    used = {word for rule in rules for word in (*rule["from"], *rule["to"])}
    return Policy.model_validate(
        {
            "apiVersion": "workbench/v1",
            "kind": "Policy",
            "metadata": {"name": Names().give(wish.name), "description": wish.description[:4000]},
            "groups": {name: said for name, said in groups.made.items() if name in used},
            "rules": rules,
            "defaults": {"east_west": "allow"},
        }
    )


def _notes(about: str, stopped: int, whole: int, found: Collateral) -> list[str]:
    out = [f"containment of: {about}", f"would have stopped {stopped:,} of {flows(whole)} of the finding"]
    if not found.flows:
        return [*out, "collateral: nothing else in history would have been stopped"]
    said = f"{flows(found.flows)} of {found.peers:,} hosts, {amount(found.bytes)}, the last {moment(found.last)}"
    out.append(f"collateral: {said}, such as")
    return out + [
        f"  {row['from']} to {row['to']} {row['service']}: {flows(row['flows'])}, {amount(row['bytes'])}, last {row['last']}"
        for row in found.rows[:10]
    ]
