"""What happens in a scenario, decided by its seed: who lives when, on which address of which tenant, and what it does meanwhile.

Times are seconds from the scenario's beginning; the clock of the run says when things really happened.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

PREFIX, PREFIX6 = "10.77.0", "fd00:77::"
GATE = 1
FIRST = 10
"""the lowest of the addresses that are reused"""
NODES = ("node-a", "node-b")
ACTIONS = (("fetch", 30), ("udp", 18), ("six", 12), ("curl", 16), ("dig", 10), ("ping", 8), ("nobody", 6))
GAPS = (0.0, 0.002, 0.02, 0.2, 0.8)
"""seconds that an address lies empty between two holders"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A network of its own with the same addresses as the others. vni 0: on the wire as it is, addresses given by DHCP."""

    name: str
    vni: int
    numbers: range
    """last bytes of the addresses that its workloads get"""

    @property
    def network(self) -> str:
        """As the program calls it."""
        return f"vni:{self.vni}" if self.vni else ""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a workload does: a connection, a question; ``at`` is a share of its life."""

    at: float
    kind: str
    choice: int


@dataclass(frozen=True, slots=True)
class Life:
    """One workload from its birth to its end. number 0: whatever the DHCP server gives."""

    uid: str
    name: str
    namespace: str
    labels: tuple[tuple[str, str], ...]
    tenant: Tenant
    node: str
    number: int
    mac: str
    seconds: float
    gap: float
    crash: bool
    """whether it ends in the midst of things: no FIN, no RELEASE"""
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario: each slot is a row of lives, one after the other, all slots at once."""

    seed: int
    tenants: tuple[Tenant, ...]
    slots: tuple[tuple[Life, ...], ...]
    seconds: float

    @property
    def lives(self) -> list[Life]:
        """All of them, slot by slot."""
        return [life for slot in self.slots for life in slot]


APPS = (("shop", "cart"), ("shop", "search"), ("ml", "train"), ("ml", "prep"), ("ci", "build"), ("data", "etl"))


def _tenants(dice: random.Random, addresses: int) -> tuple[Tenant, ...]:
    """Two overlays whose addresses overlap for the most part, and a plain network with DHCP; at least one other shares each."""
    some = addresses * 3 // 4
    low, high = range(FIRST, FIRST + some), range(FIRST + addresses - some, FIRST + addresses)
    first = dice.randrange(5000, 9000)
    return (
        Tenant("red", first, low),
        Tenant("blue", first + dice.randrange(1, 500), high),
        Tenant("plain", 0, range(FIRST, FIRST + max(addresses * 3 // 8, 3))),
    )


def _life(dice: random.Random, tenant: Tenant, number: int, mac: str, seconds: float, actions: int) -> Life:
    namespace, app = dice.choice(APPS)
    tail = "".join(dice.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
    kinds, weights = zip(*ACTIONS, strict=True)
    done = sorted(
        (Action(dice.random() * 0.9, kind, dice.getrandbits(30)) for kind in dice.choices(kinds, weights, k=actions)),
        key=lambda action: action.at,
    )
    return Life(
        uid=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        name=f"{app}-{tail}",
        namespace=namespace,
        labels=(("app", app), ("tenant", tenant.name)),
        tenant=tenant,
        node=dice.choice(NODES),
        number=number,
        mac=mac,
        seconds=seconds,
        gap=dice.choice(GAPS),
        crash=dice.random() < 0.25,
        actions=tuple(done),
    )


def _mac(dice: random.Random) -> str:
    return "5a:" + ":".join(f"{dice.randrange(256):02x}" for _ in range(5))


def make(seed: int, *, workloads: int = 200, addresses: int = 40, seconds: float = 20.0, actions: int = 6) -> Plan:
    """The plan of ``seed``: the same again for the same arguments. One slot in five keeps its MAC, as a card's function does."""
    dice = random.Random(seed)
    tenants = _tenants(dice, addresses)
    places = [(tenant, number) for tenant in tenants for number in tenant.numbers]
    dice.shuffle(places)
    counts = [workloads // len(places)] * len(places)
    for extra in dice.sample(range(len(places)), workloads % len(places)):
        counts[extra] += 1
    slots = []
    for (tenant, number), count in zip(places, counts, strict=True):
        cuts = [dice.uniform(0.6, 1.4) for _ in range(count)]
        kept = _mac(dice) if dice.random() < 0.2 else ""
        share = seconds / sum(cuts) if cuts else 0.0
        slots.append(
            tuple(_life(dice, tenant, number if tenant.vni else 0, kept or _mac(dice), cut * share, actions) for cut in cuts)
        )
    return Plan(seed, tenants, tuple(slots), seconds)
