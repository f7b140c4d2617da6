"""A policy as one table of nftables, for one `nft -f`: all of it or none, in the place of what was there."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from workbench.errors import PolicyError
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.services import ANY, SCTP, TCP, UDP
from workbench.policy.target_names import check_names
from workbench.push import compiled
from workbench.push.compiled import Compiled, NftLayout, Note, Report
from workbench.push.noting import notes_of
from workbench.push.regions import ICMP_OF, Range, Ranges, Region, Service, cuts, ranges_of, region, stages, until_last_cut

#: Protocols whose ports nft can match, and how it calls them.
PORTED: Final = {TCP: "tcp", UDP: "udp", SCTP: "sctp", 33: "dccp", 136: "udplite"}
_IP: Final = {32: "ip", 128: "ip6"}
_NFPROTO: Final = {32: "ipv4", 128: "ipv6"}
_ICMP: Final = {32: "icmp", 128: "icmpv6"}
#: A table's name: one that begins so is no keyword of nft, now or later.
_TABLE: Final = re.compile(r"workbench_[a-z0-9_]{1,40}")
_HOOKS: Final = ("forward", "input", "output")
#: How often one rule may log, a second: a log that anyone can fill is a way to stop a DPU.
LOGS: Final = 100


def compile_rules(
    resolved: Resolved,
    layout: NftLayout | None = None,
    before: Mapping[int, str] | None = None,
    serves: AddressSet = addresses.ANY,
) -> Compiled:
    """The table of a policy. before: the `ids` of what runs now, whose numbers are kept; serves: the ends behind the target.

    PolicyError where a name can't be written or a rule can't be said in nft.
    """
    layout = layout or NftLayout()
    if not _TABLE.fullmatch(layout.table) or not layout.hooks or set(layout.hooks) - set(_HOOKS):
        raise PolicyError(
            f"no table of ours: {layout}", f"Its name begins with workbench_, its hooks are of {', '.join(_HOOKS)}."
        )
    check_names(resolved)
    ids = compiled.numbered(resolved, before)
    writer = _Writer(resolved, layout, serves)
    chains = list(writer.chains())
    text = writer.table(chains)
    lines = [line for _, body in chains for line in body]
    per = Counter(comment for line in lines if (comment := _comment_of(line)) and "(" not in comment)
    numbers = {rule_id: number for number, rule_id in ids.items()}
    elements = sum(len(ranges) for _, ranges in writer.sets)
    return Compiled(
        "nft",
        resolved.name,
        text,
        writer.table(list(writer.adopting())),
        remove(layout),
        ids,
        layout,
        Report(len(resolved.rules), len(lines), len(text), elements, tuple(per.most_common()), tuple(_notes(resolved))),
        tuple(numbers[meant.rule_id] for meant in resolved.rules if cuts(meant)),
        {numbers[m.rule_id]: m.rule.expires for m in resolved.rules if m.rule.expires is not None},
    )


def remove(layout: NftLayout) -> str:
    """Takes away our table; said first, so that it need not be there."""
    return f"table inet {layout.table}\ndelete table inet {layout.table}\n"


def _notes(resolved: Resolved) -> Iterator[Note]:
    yield from notes_of(resolved)
    for meant in resolved.rules:
        if meant.rule.log and meant.rule.action != "pass":
            which = "first packets, and what it cuts" if cuts(meant) else "first packets only"
            yield Note("log", meant.rule_id, f"logged by the kernel, at most {LOGS} times a second, {which}")


def _comment_of(line: str) -> str:
    return line.rsplit('comment "', 1)[1].rstrip('"') if 'comment "' in line else ""


class _Writer:
    """Chains and sets of one policy."""

    def __init__(self, resolved: Resolved, layout: NftLayout, serves: AddressSet) -> None:
        self.resolved = resolved
        self.layout = layout
        self.serves = serves
        self.cutting = until_last_cut(resolved)
        self.sets: dict[tuple[int, Ranges], str] = {}

    def table(self, chains: list[tuple[str, list[str]]]) -> str:
        """The whole text; sets first, since chains name them."""
        out = [remove(self.layout).rstrip(), f"table inet {self.layout.table} {{"]
        for (wide, ranges), name in self.sets.items() if any("@" in line for _, body in chains for line in body) else ():
            kind = "ipv4_addr" if wide == 32 else "ipv6_addr"
            elements = ", ".join(_span(part, wide) for part in ranges)
            out.append(f"\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval\n\t\telements = {{ {elements} }}\n\t}}")
        for name, body in chains:
            out.append("\n\t\t".join([f"\tchain {name} {{", *body]) + "\n\t}")
        return "\n".join([*out, "}", ""])

    def chains(self) -> Iterator[tuple[str, list[str]]]:
        """(name, lines), those that are gone to before those that go there."""
        runs = stages(self.resolved)
        yield "rejected", ["meta l4proto 6 reject with tcp reset", "reject with icmpx type admin-prohibited"]
        yield "invalid", [self._end("drop", compiled.INVALID)]
        yield "related", [self._end("accept", compiled.ESTABLISHED)]
        for stage in reversed(range(len(runs))):
            yield f"judge{stage}", list(self._judge(runs[stage], stage, stage == len(runs) - 1))
        for stage in reversed(range(len(self.cutting))):
            yield f"reply{stage}", list(self._cut(stage, back=True))
            yield f"going{stage}", list(self._cut(stage, back=False))
        yield "established", list(self._established())
        yield "entry", list(self._entry())
        yield from self._hooks()

    def adopting(self) -> Iterator[tuple[str, list[str]]]:
        """Everything passes; that connection tracking is asked makes the kernel track."""
        yield "entry", ["ct state vmap { invalid : accept, established : accept, related : accept }", "accept"]
        yield from self._hooks()

    def _hooks(self) -> Iterator[tuple[str, list[str]]]:
        for hook in self.layout.hooks:
            yield f"on_{hook}", [f"type filter hook {hook} priority {self.layout.priority}; policy drop;", "goto entry"]

    def _entry(self) -> Iterator[str]:
        for wide in (32, 128):
            wrong = f"meta nfproto {_NFPROTO[wide]} meta l4proto {ICMP_OF[160 - wide]}"
            yield f"{wrong} {self._end('drop', compiled.INVALID)}"
        for side in ("saddr", "daddr"):
            yield f"ip6 {side} ::ffff:0.0.0.0/96 {self._end('drop', compiled.INVALID)}"
        others = []
        for wide in (32, 128):
            ranges = ranges_of(self.serves, wide)
            if ranges is not None:
                tests = [f"{_IP[wide]} {side} != {self._address(ranges, wide)}" for side in ("saddr", "daddr")] if ranges else []
                others.append(" ".join(tests or [f"meta nfproto {_NFPROTO[wide]}"]))
        yield from (f"{tests} {self._end('accept', compiled.OTHER)}" for tests in others)
        yield "ct state vmap { invalid : goto invalid, established : goto established, related : goto related }"
        if self.cutting:  # in the middle of a connection that nobody remembers: it may be a reply
            yield "ct state new tcp flags & syn == 0 jump reply0"
        yield "goto judge0"

    def _established(self) -> Iterator[str]:
        if self.cutting:
            yield "ct direction original jump going0"
            yield "ct direction reply jump reply0"
        yield self._end("accept", compiled.ESTABLISHED)

    def _end(self, verdict: str, number: int) -> str:
        return f'counter {verdict} comment "{self.resolved.name}/{compiled.SPECIAL[number]}"'

    def _judge(self, run: list[Meant], stage: int, last: bool) -> Iterator[str]:
        for meant in run:
            verdict = {"allow": "accept", "deny": "drop", "reject": "goto rejected", "pass": f"goto judge{stage + 1}"}
            end = f'counter {verdict[meant.rule.action]} comment "{meant.rule_id}"'
            for match in self._matches(meant, back=False):
                if meant.rule.log and meant.rule.action != "pass":
                    yield self._logged(match, meant)
                yield match + end
        if not last:
            yield f"goto judge{stage + 1}"
            return
        verdict_of = {"allow": "accept", "deny": "drop", "reject": "goto rejected"}[self.resolved.default]
        inside = self.resolved.internal
        found = {wide: region(inside, inside, (ANY,), wide) for wide in (32, 128)}
        for match in self._families(found):
            yield match + self._end(verdict_of, compiled.DEFAULT)
        yield self._end("accept", compiled.UNMANAGED)

    def _logged(self, match: str, meant: Meant) -> str:
        told = f'limit rate {LOGS}/second burst {LOGS} packets log prefix "{meant.rule_id[:126]} "'
        return f'{match}{told} comment "{meant.rule_id}"'

    def _cut(self, stage: int, back: bool) -> Iterator[str]:
        """Who decides on an established connection: only a rule that cuts does anything."""
        word = "reply" if back else "going"
        after = f"goto {word}{stage + 1}" if stage + 1 < len(self.cutting) else ""
        for meant in self.cutting[stage]:
            end = "counter drop" if cuts(meant) else after or "return" if meant.rule.action == "pass" else "return"
            for match in self._matches(meant, back):
                if meant.rule.log and cuts(meant):
                    yield self._logged(match, meant)
                yield f'{match}{end} comment "{meant.rule_id}"'
        if after:
            yield after

    def _matches(self, meant: Meant, back: bool) -> Iterator[str]:
        try:
            found = {wide: region(meant.src, meant.dst, meant.boxes, wide, back) for wide in (32, 128)}
            yield from self._families(found)
        except PolicyError as error:
            raise PolicyError(f"{meant.rule_id}: {error.message}", error.remedy) from error

    def _families(self, found: Mapping[int, Region | None]) -> Iterator[str]:
        """Matches of both families, each with a space behind it; one for both where neither asks for an address."""
        four, six = found[32], found[128]
        if four and six and four[1:] == six[1:] and four.src is None and four.dst is None:
            yield from self._services(four.services, "")
            return
        for wide, one in found.items():
            if one is None:
                continue
            ends = "".join(
                f"{_IP[wide]} {side} {self._address(ranges, wide)} "
                for side, ranges in (("saddr", one.src), ("daddr", one.dst))
                if ranges is not None
            )
            yield from self._services(one.services, ends or f"meta nfproto {_NFPROTO[wide]} ", wide)

    def _address(self, ranges: Ranges, wide: int) -> str:
        if len(ranges) == 1:
            return _span(ranges[0], wide)
        return "@" + self.sets.setdefault((wide, ranges), f"a{len(self.sets)}")

    def _services(self, services: tuple[Service, ...] | None, ends: str, wide: int = 32) -> Iterator[str]:
        if services is None:
            yield ends
            return
        whole = [str(one.proto) for one in services if one == Service(one.proto)]
        if whole:
            yield f"{ends}meta l4proto {_several(whole)} "
        ports: dict[tuple[int, Range | None, bool], list[Range]] = {}
        for one in services:
            if one == Service(one.proto) or one.proto is None:
                continue
            if one.types is not None:
                ports.setdefault((one.proto, None, True), []).append(one.types)
            elif one.dport is None and one.sport is not None:
                ports.setdefault((one.proto, None, False), []).append(one.sport)
            else:
                ports.setdefault((one.proto, one.sport, True), []).append(one.dport or (0, 65535))
        for (proto, sport, by_dport), ranges in ports.items():
            said = _several([str(first) if first == last else f"{first}-{last}" for first, last in ranges])
            if proto in ICMP_OF.values():
                yield f"{ends}{_ICMP[wide]} type {said} "
                continue
            if proto not in PORTED:
                raise PolicyError(f"nft knows no ports of protocol {proto}", f"It knows those of {', '.join(PORTED.values())}.")
            source = f"{PORTED[proto]} sport {sport[0]}-{sport[1]} " if sport is not None else ""
            yield f"{ends}{source}{PORTED[proto]} {'dport' if by_dport else 'sport'} {said} "


def _several(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{{ {', '.join(texts)} }}"


def _span(part: Range, wide: int) -> str:
    """An address, a prefix where it is one, else first-last."""
    kind = ipaddress.IPv4Address if wide == 32 else ipaddress.IPv6Address
    first, last = part
    size = last - first + 1
    if size == 1:
        return str(kind(first))
    if size & size - 1 == 0 and not first % size:
        return f"{kind(first)}/{wide - size.bit_length() + 1}"
    return f"{kind(first)}-{kind(last)}"
