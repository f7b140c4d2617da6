"""Names that targets read as something else, tests that contradict each other, and a policy without an inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from workbench.policy.diagrams import Space
from workbench.policy.linted import Finding, Linted
from workbench.policy.resolved import boxes_of
from workbench.policy.target_names import breaking

#: Longer names were refused for tables, chains and sets by kernels before 4.14 (NFT_NAME_MAXLEN was 32 with its end).
LONGEST: Final = 31

#: Words that nftables' grammar keeps for itself and that could be names here (nft(8)).
_WORDS: Final = """
accept add ah all and arp bridge chain chains comp comment constant continue counter counters create cookie ct daddr
dccp delete describe destroy dnat drop dscp dst dup dynamic elements esp ether exists export expr fib flow flowtable
flush fwd fullcone ge gt handle hash hook hour ib icmp icmpv6 id igmp iif iifname import index inet insert interval ip
ip6 ipsec jump le length level limit list log lt map maps mark masquerade meta missing mod monitor name ne netdev
nftrace not notrack numgen of oif oifname or osf over packets performance policy postrouting prefix priority protocol
queue quota random redirect reject rename replace reset return rt rule ruleset saddr sctp secmark set sets size snat
socket spi src state synproxy table tables tcp th time timeout tproxy type typeof udp udplite until update usec vlan
vmap xor xt
"""
KEYWORDS: Final = frozenset(_WORDS.split())


def names(view: Linted) -> Iterator[Finding]:
    """Names that are words of nftables, or too long for some of its kernels.

    Ours write them in comments only (target_names); who compiles a policy otherwise would have to quote or shorten them.
    """
    for name in view.policy.groups:
        if why := _odd(name):
            yield view.at_group(name, "note", "name", why)
    for rule in view.policy.rules:
        if why := _odd(rule.name):
            yield view.at_rule(rule.name, "note", "name", why)
    if why := _odd(view.policy.metadata.name):
        yield view.at_key("metadata", "note", "name", why)
    for place, why in breaking(view.policy):
        yield view.at_group(str(place[1]), "error", "name", why)


def _odd(name: str) -> str:
    if name.lower() in KEYWORDS:
        return f"`{name}` is a word of nftables"
    return f"`{name}` has {len(name)} characters: old kernels know {LONGEST}" if len(name) > LONGEST else ""


def tests(view: Linted) -> Iterator[Finding]:
    """Tests that expect different verdicts on one packet: one of them must fail. Exact."""
    spaces = (Space(32), Space(128))
    expected: dict[tuple[int, str], Any] = {}
    packets: list[list[Any]] = []
    for test in view.policy.tests:
        src, dst, boxes = view.standing.peer(test.from_), view.standing.peer(test.to), boxes_of([test.service])
        packets.append([space.product(src, dst, boxes) for space in spaces])
        for n, space in enumerate(spaces):
            expected[n, test.expect] = expected.get((n, test.expect), space.nothing) | packets[-1][n]
    for place, test in enumerate(view.policy.tests):
        for (n, other), theirs in expected.items():
            if other != test.expect and packets[place][n] & theirs != spaces[n].nothing:
                who = ", ".join(_others(view, packets, place, n, other, spaces[n]))
                said = f"{test.expect} is expected here, and {other} of some of the same packets by {who}"
                yield view.at_test(place, "error", "tests-contradict", said)
                break


def _others(view: Linted, packets: list[list[Any]], place: int, n: int, expect: str, space: Space) -> Iterator[str]:
    for at, test in enumerate(view.policy.tests):
        if test.expect == expect and packets[at][n] & packets[place][n] != space.nothing:
            yield f"`{test.name}`"
            return


def inside(view: Linted) -> Iterator[Finding]:
    """A default deny that holds for every address there is."""
    default = view.policy.defaults.east_west
    if not view.policy.internal and default != "allow":
        said = f"without `internal` every address is internal: the default, {default}, holds for the whole internet"
        yield view.at_key("defaults", "note", "no-internal", said)
