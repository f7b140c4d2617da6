"""Names and notes of a draft: rules and groups called by what they are for, evidence in words. All of it may be wire text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workbench.policy import addresses, services
from workbench.policy.draft_peers import Peer
from workbench.policy.draft_rules import Product, joined
from workbench.policy.draft_seen import Evidence, LeftOut, Service
from workbench.policy.members import Selector
from workbench.policy.model import RESERVED

#: What the oldest systems that rules may end on take for a name.
_NAME_MOST: Final = 31
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KNOWN: Final = {
    Service(box.proto[0], *box.dport): name
    for name, said in reversed(services.NAMED.items())
    if "icmp" not in said
    for part in said.split()
    for box in services.parse(part)
}

#: Words that stand in one rule; more become a group.
_FEW: Final = 3


class Names:
    """Names of rules or groups, each given once, all as the model wants them."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*RESERVED, "default", "unmanaged", *taken}
        self._tried: dict[str, int] = {}

    def give(self, wanted: str) -> str:
        """The name, or with a number behind it where it is given already."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", wanted).strip("-.") or "x"
        if not plain[0].isalpha():
            plain = f"n-{plain}"
        name, n = plain[:_NAME_MOST].rstrip("-."), self._tried.get(plain, 1)
        while name in self._taken:
            n += 1
            name = f"{plain[: _NAME_MOST - len(str(n)) - 1]}-{n}"
        self._tried[plain] = n
        self._taken.add(name)
        return name


class Groups:
    """The groups of a draft: selectors, and lists of words that are too long for a rule."""

    def __init__(self, names: Names | None = None) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self._names = names or Names()
        self._of: dict[object, str] = {}

    def words(self, peers: Sequence[Peer], called: str) -> list[str]:
        """How a rule names these peers. called: what a group of them would be called."""
        out = [self._word(peer) for peer in peers if peer.selector is not None or peer.word]
        plain = [peer for peer in peers if peer.selector is None and not peer.word]
        texts = addresses.of_ranges((peer.first, peer.last) for peer in plain).texts()
        if len(texts) <= _FEW:
            return out + texts
        return [*out, self._group(tuple(texts), called, {"cidr": texts})]

    def add(self, wanted: str, said: dict[str, Any]) -> str:
        """A group said in full; its name."""
        return self._group((wanted, repr(said)), wanted, said)

    def _word(self, peer: Peer) -> str:
        selector = peer.selector
        if selector is None:
            return peer.word
        said: dict[str, Any] = {}
        if selector.labels:
            said["labels"] = dict(selector.labels)
        for key, values in (("namespace", selector.namespaces), ("kind", selector.kinds)):
            if values:
                said[key] = list(values)
        return self._group(selector, selector_name(selector), said)

    def _group(self, key: object, wanted: str, said: dict[str, Any]) -> str:
        if key not in self._of:
            self._of[key] = self._names.give(wanted)
            self.made[self._of[key]] = said
        return self._of[key]


def selector_name(selector: Selector) -> str:
    """What a selector's group is called: namespace and label."""
    return "-".join([*selector.namespaces, *(value for _, value in selector.labels)]) or "workloads"


def service_word(service: Service) -> str:
    """What a service is called in a rule's name."""
    if service in (Service(services.ICMP, 8, 8), Service(services.ICMP6, 128, 128)):
        return "ping"
    return _KNOWN.get(service) or service.text().replace("/", "-")


def rule_name(product: Product) -> str:
    """`https-to-web`: the services, then where to."""
    words = list(dict.fromkeys(service_word(service) for service in joined(product.services)))
    what = "-".join(words[:2]) if len(words) <= 2 else f"{words[0]}-and-{len(words) - 1}-more"
    return f"{what}-to-{whom(product.dst)}"


def whom(peers: Sequence[Peer]) -> str:
    """Some peers in one word."""
    if len(peers) > 1:
        return "several"
    peer = peers[0]
    if peer.selector is not None:
        return selector_name(peer.selector)
    return peer.word or peer.text().replace(":", "-").replace("/", "-")


def moment(us: int) -> str:
    """A time of history, UTC."""
    try:
        return f"{_EPOCH + timedelta(microseconds=us):%Y-%m-%dT%H:%M:%SZ}"
    except OverflowError:
        return "?"


def amount(count: int) -> str:
    """Bytes as people read them."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}" if unit != "B" else f"{count} B"
        size /= 1000
    return f"{size:.3g} TB"


def flows(count: int) -> str:
    """So many flows."""
    return f"{count:,} flow" + ("" if count == 1 else "s")


def evidence_note(found: Evidence) -> str:
    """One line that says what speaks for a rule."""
    if not found.flows:
        return "no flow of it was seen"
    ids = ", ".join(map(str, found.ids))
    between = f"{moment(found.first)} to {moment(found.last)}"
    return f"seen: {flows(found.flows)}, {amount(found.bytes)}, {between}" + (f"; such as {ids}" if ids else "")


def left_out_note(one: LeftOut) -> str:
    """One line that says what is not in a draft."""
    said = f"{one.reason}: {flows(one.flows)}, {amount(one.bytes)}"
    if one.detail:
        said += f" ({one.detail})"
    if one.ids:
        said += f"; such as {', '.join(map(str, one.ids))}"
    return said + (f"; {one.still:,} of them are allowed all the same, as what is alike was seen too" if one.still else "")
