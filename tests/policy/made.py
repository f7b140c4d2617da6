"""Policies and packets made at random, boundary values and expired rules included, for engines to agree on."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from workbench.policy import addresses, services
from workbench.policy.addresses import AddressSet
from workbench.policy.members import Selector
from workbench.policy.model import Policy
from workbench.policy.naive import End, Packet

NOW = datetime(2030, 6, 1, tzinfo=UTC)
PREFIXES = ["10.0.0.0/8", "10.0.0.0/24", "10.0.0.128/25", "10.0.0.7", "10.0.1.0/30", "0.0.0.0/0", "255.255.255.255", "fd00::/8"]
PREFIXES += ["fd00::/64", "fd00::1", "::/0", "::", "192.168.0.0/16", "0.0.0.0", "fd00:0:0:1::/64"]
SERVICES = [
    "any",
    "tcp",
    "tcp/443",
    "tcp/440-450",
    "tcp/0",
    "tcp/65535",
    "udp/53",
    "dns",
    "icmp",
    "icmp/echo-request",
    "icmp6/128",
]
SERVICES += ["gre", "proto/0", "proto/255", "ping", "tcp/1-65534"]
TRAIN = addresses.of_ranges([*addresses.prefix("10.0.0.4/30").ranges, *addresses.prefix("fd00::/127").ranges])


def resolver(selector: Selector, at: datetime | None) -> AddressSet:
    return TRAIN if selector.labels == (("app", "train"),) else addresses.NONE


def policy(dice: random.Random, most: int = 8) -> Policy:
    groups: dict[str, Any] = {"train": {"labels": {"app": "train"}}, "idle": {"labels": {"app": "idle"}}}
    names = ["any", "internal", "external", "train", "idle"]
    for i in range(dice.randrange(4)):
        one: dict[str, Any] = {"cidr": dice.choices(PREFIXES, k=dice.randint(1, 3))}
        for key in ("union", "intersection", "except"):
            if dice.random() < 0.3:
                one[key] = dice.choices([*names, *PREFIXES], k=dice.randint(1, 2))
        groups[f"g{i}"] = one
        names.append(f"g{i}")
    rules = []
    for i in range(dice.randint(0, most)):
        rule: dict[str, Any] = {
            "name": f"r{i}",
            "tier": dice.choice(["quarantine", "admin", "app", "baseline", "default"]),
            "priority": dice.randint(0, 3),
            "action": dice.choice(["allow", "deny", "reject", "pass"]),
            "from": dice.choices([*names, *PREFIXES], k=dice.choice([1, 1, 2])),
            "to": dice.choices([*names, *PREFIXES], k=dice.choice([1, 1, 2])),
            "services": dice.choices(SERVICES, k=dice.randint(1, 3)),
        }
        if dice.random() < 0.2:
            rule["expires"] = dice.choice(["2h", "2030-06-01T00:00:00Z", "2031-01-01T00:00:00+02:00", "2029-01-01T00:00:00Z"])
        rules.append(rule)
    said: dict[str, Any] = {"apiVersion": "workbench/v1", "kind": "Policy", "metadata": {"name": "made"}, "groups": groups}
    said["rules"] = rules
    said["defaults"] = {"east_west": dice.choice(["allow", "deny", "reject"])}
    if dice.random() < 0.7:
        said["internal"] = dice.choices(PREFIXES, k=dice.randint(1, 2))
    return Policy.model_validate(said)


def packet(dice: random.Random) -> Packet:
    """At the edges of what policies say, or one off them."""
    edges = [edge for text in PREFIXES for r in addresses.prefix(text).ranges for edge in r]
    edges += [edge for r in TRAIN.ranges for edge in r]
    src = _near(dice, edges)
    family = [e for e in edges if (e in addresses.V4) == (src in addresses.V4)]
    dst = dice.choice(family)
    box = services.parse(dice.choice(SERVICES))[0]
    at = dice.choice([NOW, NOW - timedelta(microseconds=1), NOW + timedelta(days=400)])
    proto = dice.choice([*box.proto, 6])
    return Packet(End(src), End(dst), proto, _port(dice, box.sport), _port(dice, box.dport), at, dice.random() > 0.05)


def _near(dice: random.Random, edges: list[int]) -> int:
    return min(max(dice.choice(edges) + dice.choice([-1, 0, 0, 0, 1]), 0), addresses.LAST)


def _port(dice: random.Random, ends: tuple[int, int]) -> int:
    return min(max(dice.choice(ends) + dice.choice([-1, 0, 0, 1]), 0), 65535)
