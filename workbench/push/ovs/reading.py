"""Flows from text: what we wrote, and what `ovs-ofctl dump-flows` says of it. A word that we don't know is an error.

Flows of others are read no further than table, priority and cookie.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from workbench.errors import BadInputError
from workbench.policy.services import ICMP, ICMP6, SCTP, TCP, UDP
from workbench.records.visible import visible

#: What one dump may have at most.
MOST_CHARACTERS: Final = 512 << 20
LONGEST_LINE: Final = 1 << 20

_WORDS: Final = {
    "ip": (32, None), "ipv6": (128, None), "tcp": (32, TCP), "tcp6": (128, TCP), "udp": (32, UDP), "udp6": (128, UDP),
    "sctp": (32, SCTP), "sctp6": (128, SCTP), "icmp": (32, ICMP), "icmp6": (128, ICMP6),
}  # fmt: skip
#: Types of frames that have words of their own.
_FAMILIES: Final = (0x0800, 0x86DD)
_ADDRESSES: Final = {"nw_src": 32, "nw_dst": 32, "ipv6_src": 128, "ipv6_dst": 128}
_PASSED_OVER: Final = frozenset({
    "duration", "n_packets", "n_bytes", "idle_age", "hard_age", "reset_counts", "importance", "send_flow_rem", "check_overlap",
    "no_packet_counts", "no_byte_counts", "n_offload_packets", "n_offload_bytes",
})  # fmt: skip
_STATE: Final = re.compile(r"[+-](?:new|est|rel|rpl|inv|trk|snat|dnat)")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]{1,32}|[0-9]{1,20}")
_REGISTER: Final = re.compile(r"reg([0-9]|1[0-5])")


class FlowTextError(BadInputError):
    """Text that is no flow, or says what our flows never say."""

    title = "Flow not understood"


Masked = tuple[int, int]


@dataclass(slots=True)
class Match:
    """What a flow asks; None: nothing. Addresses and ports as (first, last), register and label as (value, mask).

    ether: a type of frame that is no IP.
    """

    wide: int | None = None
    proto: int | None = None
    src: tuple[int, int] | None = None
    dst: tuple[int, int] | None = None
    sport: tuple[int, int] | None = None
    dport: tuple[int, int] | None = None
    types: tuple[int, int] | None = None
    register: Masked | None = None
    label: Masked | None = None
    state: dict[str, bool] = field(default_factory=dict)
    syn: bool | None = None
    conjunction: int | None = None
    ether: int | None = None


@dataclass(frozen=True, slots=True)
class ReadFlow:
    """One flow. packets, bytes: what it has matched; actions: in order, each as its words."""

    cookie: int
    table: int
    priority: int
    match: Match
    actions: tuple[str, ...]
    packets: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """flows: ours. others: (table, priority, cookie) of the rest."""

    flows: tuple[ReadFlow, ...]
    others: tuple[tuple[int, int, int], ...]


def read_flows(text: str, ours: int, register: int = 15) -> Read:
    """The flows of a dump or of a file for add-flows. ours: upper half of our cookies. FlowTextError names the line."""
    if len(text) > MOST_CHARACTERS:
        raise FlowTextError("the dump is too large to be ours")
    flows: list[ReadFlow] = []
    others: list[tuple[int, int, int]] = []
    for n, line in enumerate(text.splitlines(), 1):
        said = line.strip()
        if not said or said.startswith(("#", "delete ", "NXST_FLOW", "OFPST_FLOW")):
            continue
        try:
            found = _line(said, ours, f"reg{register}")
        except (ValueError, IndexError) as error:
            raise FlowTextError(f"line {n}: {error}: {visible(said[:200])}") from error
        if isinstance(found, ReadFlow):
            flows.append(found)
        else:
            others.append(found)
    return Read(tuple(flows), tuple(others))


def _line(text: str, ours: int, register: str) -> ReadFlow | tuple[int, int, int]:
    if len(text) > LONGEST_LINE:
        raise ValueError("longer than a flow")
    head, equals, tail = text.partition("actions=")
    if not equals:
        raise ValueError("no actions")
    parts = [part.strip() for part in re.split(r"[,\s]+", head.strip()) if part.strip()]
    numbers = {"cookie": 0, "table": 0, "priority": 32768, "n_packets": 0, "n_bytes": 0}
    rest: list[str] = []
    for part in parts:
        name, is_said, value = part.partition("=")
        if is_said and name in numbers:
            numbers[name] = _number(value)
        else:
            rest.append(part)
    if numbers["cookie"] >> 32 != ours:
        return numbers["table"], numbers["priority"], numbers["cookie"]
    match = _match(rest, register)
    actions = _split(tail.strip())
    counts = numbers["n_packets"], numbers["n_bytes"]
    return ReadFlow(numbers["cookie"], numbers["table"], numbers["priority"], match, actions, *counts)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"`{visible(text[:40])}` is no number")
    return int(text, 0) if text[:2] in ("0x", "0X") else int(text)


def _match(parts: list[str], register: str) -> Match:
    out = Match()
    for part in parts:
        name, is_said, value = part.partition("=")
        if name in _WORDS and not is_said:
            out.wide, out.proto = _WORDS[name]
        elif name in ("nw_src", "ipv6_src"):
            out.src = _prefix(value, _ADDRESSES[name])
        elif name in ("nw_dst", "ipv6_dst"):
            out.dst = _prefix(value, _ADDRESSES[name])
        elif name == "nw_proto":
            out.proto = _number(value)
        elif name in ("tp_src", "tp_dst", "tcp_src", "tcp_dst", "udp_src", "udp_dst", "sctp_src", "sctp_dst"):
            ports = _ports(value)
            out.sport, out.dport = (ports, out.dport) if name.endswith("src") else (out.sport, ports)
        elif name == "dl_type":
            out.ether = _number(value)
        elif name in ("icmp_type", "icmpv6_type"):
            out.types = _number(value), _number(value)
        elif not _other(out, name, value, register) and name not in _PASSED_OVER:
            raise ValueError(f"`{visible(part[:60])}` is nothing that our flows ask")
    _check(out)
    return out


def _other(out: Match, name: str, value: str, register: str) -> bool:
    """What is asked besides addresses and ports; whether it was that."""
    if name == "ct_state":
        words = _STATE.findall(value)
        if "".join(words) != value:
            raise ValueError(f"`{visible(value[:40])}` is no state")
        out.state = {word[1:]: word[0] == "+" for word in words}
    elif name == register:
        out.register = _masked(value, 0xFFFFFFFF)
    elif name == "ct_label":
        out.label = _masked(value, (1 << 128) - 1)
    elif name == "conj_id":
        out.conjunction = _number(value)
    elif name == "tcp_flags" and value in ("-syn", "+syn"):
        out.syn = value == "+syn"
    else:
        return False
    return True


def _check(match: Match) -> None:
    wide = {len_ for len_, end in ((match.wide, match.src), (match.wide, match.dst)) if end is not None}
    if None in wide or (match.wide == 32 and any(end and end[1] >> 32 for end in (match.src, match.dst))):
        raise ValueError("an address of no family or the wrong one")
    if (match.sport or match.dport) and match.proto not in (TCP, UDP, SCTP):
        raise ValueError("ports of a protocol without ports")
    if match.types and match.proto not in (ICMP, ICMP6):
        raise ValueError("an ICMP type of something else")
    if match.ether is not None and (match.wide is not None or match.proto is not None or match.ether in _FAMILIES):
        raise ValueError("a type of frame beside an IP family, or in place of one")
    if match.syn is not None and match.proto != TCP:
        raise ValueError("TCP flags of something else")


def _masked(text: str, everything: int) -> Masked:
    value, slash, mask = text.partition("/")
    return _number(value), _number(mask) if slash else everything


@lru_cache(1 << 16)  # a rule's addresses stand in many of its lines
def _prefix(text: str, wide: int) -> tuple[int, int]:
    net = ipaddress.ip_network(text)
    if net.max_prefixlen != wide:
        raise ValueError(f"`{visible(text[:60])}` is of the other family")
    return int(net[0]), int(net[-1])


def _ports(text: str) -> tuple[int, int]:
    value, mask = _masked(text, 0xFFFF)
    free = ~mask & 0xFFFF
    if value > 0xFFFF or mask > 0xFFFF or free & free + 1 or value & free:
        raise ValueError(f"`{visible(text[:40])}` is no range of ports")
    return value, value | free


@lru_cache(1 << 12)  # one after the other have the same
def _split(text: str) -> tuple[str, ...]:
    return tuple(_actions(text))


def _actions(text: str) -> Iterator[str]:
    """Split at commas outside parentheses."""
    depth = 0
    start = 0
    for n, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            raise ValueError("a parenthesis too many")
        if char == "," and depth == 0:
            yield text[start:n].strip()
            start = n + 1
    if depth:
        raise ValueError("a parenthesis is missing")
    yield text[start:].strip()
