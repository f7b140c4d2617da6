"""Our table from what `nft -j list` says."""

from __future__ import annotations

import json
from typing import Any, Final

from workbench.push.nft.rules import Chain, NftTextError, Range, Rule, Table, Test, address, number, prefix
from workbench.push.nft.words import PORTED
from workbench.records.visible import visible

MOST_CHARACTERS: Final = 512 << 20
_FAMILIES: Final = {"ip": 32, "ip6": 128}
_ENDS: Final = {"saddr": "src", "daddr": "dst"}
_TYPES: Final = {"icmp": 1, "icmpv6": 58}
_NFPROTO: Final = {"ipv4": 32, "ipv6": 128}


def read_listing(text: str, name: str) -> Table:
    """The table of that name. NftTextError where there is none, or where it says what ours never does."""
    try:
        if len(text) > MOST_CHARACTERS:
            raise ValueError("too large to be ours")
        said = json.loads(text)
        return _table(said["nftables"], name)
    except NftTextError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise NftTextError(f"nft's listing: {visible(str(error)[:300])}") from error


def _table(items: list[dict[str, Any]], name: str) -> Table:
    table = Table(name)
    found = False
    for item in items:
        ((kind, said),) = item.items()
        if kind == "table":
            if (said["family"], said["name"]) == ("inet", name):
                found = True
                if said.get("flags"):
                    raise ValueError(f"the table is {visible(str(said['flags'])[:40])}")
            else:
                table.others.append(f"{said['family']} {said['name']}")
        elif kind == "metainfo" or (said.get("family"), said.get("table")) != ("inet", name):
            continue
        elif kind == "chain":
            table.chains[said["name"]] = Chain(
                [], said.get("hook", ""), said.get("type", ""), int(said.get("prio", 0)), said.get("policy", "accept")
            )
        elif kind == "set":
            wide = {"ipv4_addr": 32, "ipv6_addr": 128}[said["type"]]
            table.sets[said["name"]] = wide, tuple(_span(part, wide) for part in said.get("elem", []))
        elif kind == "rule":
            table.chains[said["chain"]].rules.append(_rule(said, table))
        else:
            raise ValueError(f"a {visible(kind[:40])} in our table")
    if not found:
        raise NftTextError(f"there is no table inet {name}")
    return table


def _rule(said: dict[str, Any], table: Table) -> Rule:
    tests: list[Test] = []
    verdict, target = "", ""
    by_state: tuple[tuple[str, str], ...] = ()
    packets = size = 0
    limited = False
    for part in said["expr"]:
        ((kind, value),) = part.items()
        if verdict:
            raise ValueError("something after a verdict")
        if kind == "match":
            tests.append(_test(value, table))
        elif kind == "counter":
            packets, size = int(value["packets"]), int(value["bytes"])
        elif kind in ("accept", "drop", "return"):
            verdict = kind
        elif kind in ("goto", "jump"):
            verdict, target = kind, value["target"]
        elif kind == "reject":
            verdict = "reject"
        elif kind == "vmap":
            if value["key"] != {"ct": {"key": "state"}}:
                raise ValueError("a map of something else than states")
            verdict = "vmap"
            by_state = tuple((str(state), _of_map(to)) for state, to in value["data"]["set"])
        elif kind in ("limit", "log"):
            limited = True
        else:
            raise ValueError(f"`{visible(kind[:40])}` is nothing that our rules do")
    if limited and verdict:
        raise ValueError("a verdict that depends on how often")
    return Rule(tuple(tests), verdict, target, said.get("comment", ""), by_state, packets, size, int(said.get("handle", 0)))


def _of_map(to: dict[str, Any]) -> str:
    ((kind, value),) = to.items()
    return f"goto {value['target']}" if kind == "goto" else kind


def _test(said: dict[str, Any], table: Table) -> Test:
    left, right, op = said["left"], said["right"], said["op"]
    if op == "!" or "&" in left:
        return _flags(left, right, op)
    if op not in ("==", "!=", "in"):
        raise ValueError(f"`{visible(str(op)[:20])}` is nothing that our rules ask")
    negated = op == "!="
    ((kind, what),) = left.items()
    key = str(what["key"] if "key" in what else what["field"])
    if kind == "ct" and key in ("state", "direction"):
        words = right["set"] if isinstance(right, dict) else right if isinstance(right, list) else [right]
        return Test(key, words=tuple(map(str, words)), negated=negated)
    if kind == "meta" and key == "nfproto":
        return Test("family", wide=_NFPROTO[right], negated=negated)
    if kind == "meta" and key == "l4proto":
        return Test("proto", values=_numbers(right, "proto", None), negated=negated)
    if kind == "payload" and what["protocol"] in _FAMILIES:
        wide = _FAMILIES[what["protocol"]]
        return Test(_ENDS[key], wide=wide, values=_spans(right, wide, table), negated=negated)
    if kind == "payload" and what["protocol"] in PORTED and key in ("sport", "dport"):
        proto = PORTED[what["protocol"]]
        return Test(key, proto, values=_numbers(right, key, proto), negated=negated)
    if kind == "payload" and what["protocol"] in _TYPES and key == "type":
        proto = _TYPES[what["protocol"]]
        return Test("type", proto, values=_numbers(right, "type", proto), negated=negated)
    raise ValueError(f"`{visible(str(left)[:80])}` is nothing that our rules ask")


def _flags(left: Any, right: Any, op: str) -> Test:
    flags = {"payload": {"protocol": "tcp", "field": "flags"}}
    if (op == "!" and left == flags and right == "syn") or (op == "==" and left == {"&": [flags, "syn"]} and right == 0):
        return Test("no_syn", 6)
    raise ValueError("TCP flags that our rules never ask")


def _several(right: Any) -> list[Any]:
    return list(right["set"]) if isinstance(right, dict) and "set" in right else [right]


def _numbers(right: Any, about: str, proto: int | None) -> tuple[Range, ...]:
    out = []
    for part in _several(right):
        first, last = part["range"] if isinstance(part, dict) else (part, part)
        out.append((number(first, about, proto), number(last, about, proto)))
    return tuple(out)


def _spans(right: Any, wide: int, table: Table) -> tuple[Range, ...]:
    if isinstance(right, str) and right.startswith("@"):
        found = table.sets[right[1:]]
        if found[0] != wide:
            raise ValueError("a set of the other family")
        return found[1]
    return tuple(_span(part, wide) for part in _several(right))


def _span(part: Any, wide: int) -> Range:
    if isinstance(part, str):
        return address(part, wide), address(part, wide)
    ((kind, value),) = part.items()
    if kind == "range":
        return address(value[0], wide), address(value[1], wide)
    if kind == "prefix":
        return prefix(value["addr"], value["len"], wide)
    raise ValueError(f"`{visible(str(kind)[:40])}` is no address")
