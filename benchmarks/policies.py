"""Policies of any number of rules, made at random in the manners in which real ones are written, and one in which none is."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FAMILIES: Final = ("v4", "v6", "both")
_SERVICES: Final = (
    "tcp/443", "tcp/22", "tcp/80", "udp/53", "tcp/3306", "tcp/5432", "tcp/8080", "tcp/8000-8010", "tcp/6379", "udp/123",
    "tcp/9092", "tcp/27017", "tcp/2049", "udp/514", "tcp/9100", "tcp/5985-5986", "tcp/445", "icmp", "icmp6", "tcp/1024-65535",
    "udp/4791", "tcp/179",
)  # fmt: skip


@dataclass(slots=True)
class _Dice:
    roll: random.Random
    family: str

    def is_v6(self) -> bool:
        return self.family == "v6" or (self.family == "both" and self.roll.random() < 0.5)

    def prefix(self, v6: bool, length: int, pool: int) -> str:
        """A prefix of an IPv4 length (of IPv6 as much longer as sites have it) inside 10.0.0.0/8 or fd00::/16, of a pool."""
        site = random.Random(pool).getrandbits(24 if length >= 24 else max(length - 8, 0)) if length > 8 else 0
        if v6:
            bits = (0xFD00 << 112) | site << 88 | self.roll.getrandbits(8) << 80
            wide = {8: 16, 12: 32, 16: 40, 20: 44, 24: 48, 28: 56, 32: 128}.get(length, 64)
            return f"{ipaddress.IPv6Address(bits >> 128 - wide << 128 - wide)}/{wide}"
        number = 10 << 24 | site << (0 if length >= 32 else 32 - max(length, 9)) & 0xFFFFFF
        return f"{ipaddress.IPv4Address(number >> 32 - length << 32 - length)}/{length}"


def _end(dice: _Dice, v6: bool) -> str:
    """One end of a rule as firewalls have it: mostly subnets and hosts, at times a site or anybody."""
    kind = dice.roll.random()
    if kind < 0.1:
        return "any"
    pool = dice.roll.randrange(2000)
    return dice.prefix(v6, 12 if kind < 0.15 else 16 if kind < 0.3 else 24 if kind < 0.7 else 32, pool)


def prefixes(dice: _Dice, rules: int) -> tuple[str, list[str]]:
    """Access lists as of a firewall: nested prefixes, a tenth `any`, some twenty services, a deny at the end of a block."""
    out = []
    for _ in range(rules):
        v6 = dice.is_v6()
        action = "deny" if dice.roll.random() < 0.25 else "allow"
        services = ", ".join(dice.roll.sample(_SERVICES, dice.roll.choice([1, 1, 1, 2, 3])))
        out.append(f"action: {action}, from: '{_end(dice, v6)}', to: '{_end(dice, v6)}', services: [{services}]")
    return "", out


def groups(dice: _Dice, rules: int) -> tuple[str, list[str]]:
    """Between 300 groups of 2 to 40 prefixes each, which overlap here and there."""
    names, lines = [], []
    for n in range(300):
        v6 = dice.is_v6()
        found = {
            dice.prefix(v6, dice.roll.choice([24, 32, 32]), dice.roll.randrange(8000)) for _ in range(dice.roll.randint(2, 40))
        }
        names.append(f"g{n}")
        lines.append(f"  g{n}: {{cidr: [{', '.join(repr(one) for one in sorted(found))}]}}")
    out = []
    for _ in range(rules):
        one, other = dice.roll.choice(names), dice.roll.choice(names)
        services = ", ".join(dice.roll.sample(_SERVICES, dice.roll.choice([1, 1, 2, 3])))
        out.append(f"action: {dice.roll.choice(['allow', 'allow', 'deny'])}, from: {one}, to: {other}, services: [{services}]")
    return "groups:\n" + "\n".join(lines) + "\n", out


def ranges(dice: _Dice, rules: int) -> tuple[str, list[str]]:
    """Stretches of addresses that are no prefixes, between each other, with ranges of ports."""
    names, lines = [], []
    for n in range(400):
        v6 = dice.is_v6()
        size = dice.roll.randrange(1, 5000)
        first = dice.roll.randrange(1 << 24)
        start = (0xFD00 << 112) + (first << 64) if v6 else (10 << 24) + min(first, (1 << 24) - size)
        last = start + ((size << 64) - 1 if v6 else size - 1)
        kind = ipaddress.IPv6Address if v6 else ipaddress.IPv4Address
        nets = ipaddress.summarize_address_range(kind(start), kind(last))
        names.append(f"s{n}")
        lines.append(f"  s{n}: {{cidr: [{', '.join(repr(str(net)) for net in nets)}]}}")
    out = []
    for _ in range(rules):
        low = dice.roll.randrange(1, 60000)
        service = f"{dice.roll.choice(['tcp', 'udp'])}/{low}-{low + dice.roll.randrange(5000)}"
        one, other = dice.roll.choice(names), dice.roll.choice(names)
        out.append(f"action: {dice.roll.choice(['allow', 'deny'])}, from: {one}, to: {other}, services: [{service}]")
    return "groups:\n" + "\n".join(lines) + "\n", out


def subnets(dice: _Dice, rules: int) -> tuple[str, list[str]]:
    """Subnets drawn from 65,536, a port and a range of ports each: hardly a rule overlaps another."""
    out = []
    for _ in range(rules):
        v6 = dice.is_v6()
        net = [
            f"'fd00:{dice.roll.randrange(65536):x}:{dice.roll.randrange(65536):x}:{dice.roll.randrange(65536):x}::/64'"
            if v6
            else f"10.{dice.roll.randrange(256)}.{dice.roll.randrange(256)}.0/24"
            for _ in range(2)
        ]
        low = dice.roll.randrange(100)
        services = f"[tcp/{dice.roll.randrange(1, 65535)}, udp/{low}-{dice.roll.randrange(200, 300)}]"
        out.append(f"action: {dice.roll.choice(['allow', 'deny'])}, from: {net[0]}, to: {net[1]}, services: {services}")
    return "", out


def wild(dice: _Dice, rules: int) -> tuple[str, list[str]]:
    """What nobody writes: prefixes of all lengths anywhere and ranges of ports anywhere, each overlapping hundreds of others."""
    out = []
    for _ in range(rules):
        v6 = dice.is_v6()
        wide = 128 if v6 else 32
        nets = []
        for _ in range(2):
            length = dice.roll.randint(1, wide)
            number = (0x2 << 124 if v6 else 0) | dice.roll.getrandbits(wide - 4)
            kind = ipaddress.IPv6Address if v6 else ipaddress.IPv4Address
            nets.append(f"'{kind(number >> wide - length << wide - length)}/{length}'")
        low = dice.roll.randrange(65536)
        service = f"{dice.roll.choice(['tcp', 'udp'])}/{low}-{dice.roll.randrange(low, 65536)}"
        out.append(f"action: {dice.roll.choice(['allow', 'deny'])}, from: {nets[0]}, to: {nets[1]}, services: [{service}]")
    return "", out


KINDS: Final[dict[str, Callable[[_Dice, int], tuple[str, list[str]]]]] = {
    "prefixes": prefixes, "groups": groups, "ranges": ranges, "subnets": subnets, "wild": wild,
}  # fmt: skip


def text(kind: str, rules: int, seed: int, family: str = "both") -> str:
    """A policy of so many rules as YAML; the same arguments, the same text."""
    head, lines = KINDS[kind](_Dice(random.Random(f"{kind} {rules} {seed} {family}"), family), rules)
    body = "\n".join(f"  - {{name: r{n}, tier: app, priority: {n}, {line}}}" for n, line in enumerate(lines))
    start = f"apiVersion: workbench/v1\nkind: Policy\nmetadata: {{name: made-{seed}}}\ninternal: [10.0.0.0/8, 'fd00::/8']\n"
    return f"{start}{head}rules:\n{body}\n"
