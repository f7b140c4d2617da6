"""Policies for the compilers' tests: made at random, with cuts and logs, and one that every test can read."""

from __future__ import annotations

import random

from tests.policy import made
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.loader import load
from workbench.policy.model import Policy
from workbench.policy.resolved import Resolved, resolve

CONTAIN = """
apiVersion: workbench/v1
kind: Policy
metadata: {name: contain}
internal: [10.0.0.0/8, "fd00::/8"]
groups:
  managed: {cidr: [10.20.0.0/24, "fd00:20::/64"]}
  guests: {cidr: [10.30.0.0/24, "fd00:30::/64"]}
rules:
  - {name: no-guests, tier: quarantine, priority: 1, action: deny, from: guests, to: managed, services: [tcp/443, udp/427],
     existing: cut, expires: 2h, log: true}
  - {name: skip, tier: admin, priority: 1, action: pass, from: any, to: any, services: [tcp/9]}
  - {name: odd, tier: admin, priority: 2, action: reject, from: managed, to: any, services: [tcp/9, tcp/1000-1999]}
  - {name: work, tier: app, priority: 1, action: allow, from: managed, to: managed, services: [tcp/9, tcp/8000, ping]}
"""


def contain(**changes: str) -> Resolved:
    """The policy above, with words replaced."""
    text = CONTAIN
    for old, new in changes.items():
        text = text.replace(old, new)
    return resolve(load([("contain.yaml", text)]).policy)


def policy(dice: random.Random, most: int = 8) -> Policy:
    """One of tests.policy.made, where some rules that stop also cut, and some log."""
    said = made.policy(dice, most).model_dump(by_alias=True, exclude_defaults=True)
    said |= {"apiVersion": "workbench/v1", "kind": "Policy"}
    for rule in said.get("rules", []):
        if rule["action"] in ("deny", "reject") and dice.random() < 0.4:
            rule["existing"] = "cut"
        rule["log"] = dice.random() < 0.2
    return Policy.model_validate(said)


def resolved(dice: random.Random, most: int = 8) -> Resolved:
    """The same, with its members."""
    return members(policy(dice, most))


def members(said: Policy) -> Resolved:
    """Who is in a random policy's groups."""
    return resolve(said, made.resolver, made.NOW)


def served(dice: random.Random) -> AddressSet:
    """Everybody, or sometimes only some."""
    return addresses.ANY if dice.random() < 0.7 else addresses.prefix(dice.choice(made.PREFIXES))
