"""From the ends that were seen to the peers that a rule names: addresses, workloads by labels, prefixes, inside, outside."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.policy import addresses
from workbench.policy.addresses import V4_FIRST, V4_LAST, AddressSet
from workbench.policy.draft_seen import Who
from workbench.policy.members import Selector, means
from workbench.policy.model import KINDS, MOST_TEXT

#: An end of an edge: where, and who it was.
End = tuple[int, Who | None]

#: Labels by which people tell applications apart, the most telling first; what they are in Kubernetes and beside it.
_TELLING: Final = (
    "app.kubernetes.io/name", "k8s-app", "app", "application", "app.kubernetes.io/component", "component", "role", "tier",
    "service", "name",
)  # fmt: skip
#: Labels that differ from one copy of a workload to the next.
_FLEETING: Final = ("hash", "revision", "pod-name", "pod-index", "ordinal", "uid", "controller", "version", "batch.kubernetes.io")

#: Halves of surrogate pairs, which are no characters.
_HALVES: Final = re.compile("[\ud800-\udfff]")

#: Networks of one wire: no prefix of a draft is wider than these, but for `internal` and `external`.
_WIRE: Final = {4: 24, 6: 64}

#: What belongs to no one host: an exact address at any breadth (RFC 5771, 4291, 919).
_GROUPS: Final = addresses.of_ranges(
    r for text in ("224.0.0.0/4", "255.255.255.255", "0.0.0.0/32", "ff00::/8", "::") for r in addresses.prefix(text).ranges
)

#: What a data centre has inside (RFC 1918, 4193, 6598, 3927, 4291).
INSIDE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10")


@dataclass(frozen=True, slots=True)
class Peer:
    """One word of a rule: a selector, a reserved word, or the addresses from first to last, which are one prefix."""

    first: int = 0
    last: int = 0
    selector: Selector | None = None
    word: str = ""

    def text(self) -> str:
        """Of addresses."""
        return AddressSet(((self.first, self.last),)).texts()[0]


def one(address: int) -> Peer:
    """An address and nothing more."""
    return Peer(address, address)


def internal_of(seen: Iterable[int]) -> list[str]:
    """The ranges inside that addresses were seen of; none where all are public, which makes every address internal."""
    ranges = [(text, addresses.prefix(text)) for text in INSIDE]
    found: set[str] = set()
    for address in seen:
        found.update(text for text, held in ranges if text not in found and address in held)
    return [text for text, _ in ranges if text in found]


def is_group(address: int) -> bool:
    """Whether it is a multicast or broadcast address, or none."""
    return address in _GROUPS


class Peers:
    """The peers of ends at a breadth. known: every workload of the case, for what a selector would mean besides."""

    def __init__(self, known: Sequence[Who], inside: AddressSet) -> None:
        self._by_place: dict[tuple[str, str], list[Who]] = defaultdict(list)
        for who in {who.uid: who for who in known}.values():
            self._by_place[who.namespace, who.kind].append(who)
            if who.namespace:
                self._by_place["", who.kind].append(who)
        self._inside = inside
        self._meant: dict[Selector, int] = {}

    def of(self, ends: Iterable[End], breadth: int, *, sources: bool) -> dict[End, Peer]:
        """The peer of each end. ends: all of one role, such as those who use one service of one host."""
        listed = set(ends)
        out: dict[End, Peer] = {}
        if breadth >= 1:
            out = self._selected({end for end in listed if end[1] is not None}, breadth)
        rest = sorted({address for address, who in listed - out.keys()})
        made = self._addresses(rest, breadth, sources)
        if breadth >= 4 and sources:
            made |= self._addresses(sorted({address for address, _ in out}), breadth, sources)
            out = {}
        return out | {end: made[end[0]] for end in listed if end not in out}

    def holds(self, peer: Peer, address: int, who: Who | None) -> bool:
        """Whether a peer means this end as it was then."""
        if peer.selector is not None:
            return who is not None and means(peer.selector, who.workload())
        if peer.word:
            return peer.word == "any" or (address in self._inside) == (peer.word == "internal")
        return peer.first <= address <= peer.last

    def _selected(self, ends: set[End], breadth: int) -> dict[End, Peer]:
        """Ends that a selector means of whose members at least half were seen; at a wide breadth however few."""
        by: dict[Selector, list[End]] = defaultdict(list)
        for end in ends:
            selector = _selector(end[1], breadth) if end[1] is not None else None
            if selector is not None:
                by[selector].append(end)
        out: dict[End, Peer] = {}
        for selector, theirs in by.items():
            seen = len({who.uid for _, who in theirs if who is not None})
            if breadth >= 3 or 2 * seen >= self.meant(selector):
                out.update({end: Peer(selector=selector) for end in theirs})
        return out

    def meant(self, selector: Selector) -> int:
        """How many workloads of the case, of any time, a selector means."""
        if selector not in self._meant:
            there = self._by_place[selector.namespaces[0] if selector.namespaces else "", selector.kinds[0]]
            self._meant[selector] = sum(means(selector, who.workload()) for who in there)
        return self._meant[selector]

    def _addresses(self, listed: list[int], breadth: int, sources: bool) -> dict[int, Peer]:
        out = {address: one(address) for address in listed}
        if breadth < 2:
            return out
        wires: dict[tuple[int, int], list[int]] = defaultdict(list)
        for address in listed:
            if is_group(address):
                continue
            inside = address in self._inside
            if breadth >= 4 and (sources or not inside):
                out[address] = Peer(word="internal" if inside else "external")
                continue
            wires[_wire(address)].append(address)
        for wire, theirs in wires.items():
            if breadth >= 3:
                out.update(dict.fromkeys(theirs, Peer(*wire)))
            else:
                for found in _covers(theirs):
                    out.update({address: found for address in theirs if found.first <= address <= found.last})
        return out


def _selector(who: Who, breadth: int) -> Selector | None:
    """By what a workload is told from others: a label and its namespace; its namespace alone at a wide breadth."""
    if who.kind not in KINDS or who.kind == "name" or not sayable(who.namespace):
        return None
    if breadth >= 3 and who.namespace:
        return Selector(namespaces=(who.namespace,), kinds=(who.kind,))
    label = telling({key: value for key, value in who.labels if sayable(key) and sayable(value)})
    if label is None:
        return None
    return Selector(labels=(label,), namespaces=(who.namespace,) if who.namespace else (), kinds=(who.kind,))


def sayable(text: str) -> bool:
    """Whether a policy can say it: not too long, and text (JSON can escape halves of characters, YAML and UTF-8 know none)."""
    return len(text) <= MOST_TEXT and not _HALVES.search(text)


def unsaid(known: Iterable[Who]) -> list[str]:
    """What is to be told of workloads of which a policy cannot say everything: rules are drafted without that."""
    hosts = {who.uid for who in known if not all(map(sayable, (who.namespace, *(word for pair in who.labels for word in pair))))}
    if not hosts:
        return []
    return [f"left out: labels or namespaces of {len(hosts):,} workloads, over {MOST_TEXT:,} characters or no text"]


def telling(labels: Mapping[str, str]) -> tuple[str, str] | None:
    """The label that says most of what a workload is for; None where no label does."""
    for key in _TELLING:
        if labels.get(key):
            return key, labels[key]
    rest = sorted(key for key, value in labels.items() if value and not any(word in key for word in _FLEETING))
    return (rest[0], labels[rest[0]]) if rest else None


def _wire(address: int) -> tuple[int, int]:
    v4 = V4_FIRST <= address <= V4_LAST
    bits = 32 - _WIRE[4] if v4 else 128 - _WIRE[6]
    first = address >> bits << bits
    return first, first + (1 << bits) - 1


def _covers(listed: list[int]) -> list[Peer]:
    """The tightest prefixes for these addresses, ascending, that have at most four times as many; single ones where none has."""
    if len(listed) == 1:
        return [one(listed[0])]
    bits = (listed[0] ^ listed[-1]).bit_length()
    first = listed[0] >> bits << bits
    if 1 << bits <= 4 * len(listed):
        return [Peer(first, first + (1 << bits) - 1)]
    left = [address for address in listed if address < first + (1 << bits - 1)]
    return _covers(left) + _covers(listed[len(left) :])
