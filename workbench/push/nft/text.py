"""Our table from the text that we wrote: what goes to `nft -f` is itself read before it goes."""

from __future__ import annotations

import re
from typing import Final

from workbench.push.nft.rules import Chain, NftTextError, Range, Rule, Table, Test, address, number, prefix
from workbench.push.nft.words import PORTED
from workbench.records.visible import visible

_TOKEN: Final = re.compile(r'"[^"\n]*"|[{};,]|[^\s{};,"]+')
_COMMENT: Final = re.compile(r'"([A-Za-z0-9_.()/ -]{0,128})"')
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_ENDS: Final = {"saddr": "src", "daddr": "dst"}
_FAMILIES: Final = {"ip": 32, "ip6": 128}
_LIMIT: Final = re.compile(r"[0-9]{1,6}/second")


def read_text(text: str, name: str) -> Table:
    """The table in a text for `nft -f`. NftTextError names the line."""
    table = Table(name)
    chain: Chain | None = None
    lines = text.splitlines()
    if lines[:3] != [f"table inet {name}", f"delete table inet {name}", f"table inet {name} {{"]:
        raise NftTextError("the text does not put our table in the place of our table")
    place = 3
    while place < len(lines):
        line = lines[place].strip()
        try:
            if line.startswith("set "):
                set_name, found = _set(lines[place : place + 5])
                table.sets[set_name] = found
                place += 5
                continue
            if line.startswith("chain "):
                chain = table.chains.setdefault(_name(line.split()[1]), Chain())
            elif line.startswith("type "):
                _hook(chain, line)
            elif line == "}":
                if chain is None and place != len(lines) - 1:
                    raise ValueError("something after the table")
                chain = None
            elif chain is None:
                raise ValueError("not within a chain")
            else:
                chain.rules.append(_Line(line, table).rule())
        except (ValueError, IndexError, TypeError) as error:
            raise NftTextError(f"line {place + 1}: {error}: {visible(line[:200])}") from error
        place += 1
    return table


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("no name of ours")
    return text


def _hook(chain: Chain | None, line: str) -> None:
    found = re.fullmatch(r"type (filter) hook (\w+) priority (-?\d+); policy (drop|accept);", line)
    if chain is None or found is None:
        raise ValueError("no hook of ours")
    chain.kind, chain.hook, chain.priority, chain.policy = found[1], found[2], int(found[3]), found[4]


def _set(lines: list[str]) -> tuple[str, tuple[int, tuple[Range, ...]]]:
    name = re.fullmatch(r"\s*set (\w+) \{", lines[0])
    kind = re.fullmatch(r"\s*type (ipv4_addr|ipv6_addr)", lines[1])
    elements = re.fullmatch(r"\s*elements = \{ ([0-9a-f:./, -]+) \}", lines[3])
    if name is None or kind is None or elements is None or lines[2].strip() != "flags interval" or lines[4].strip() != "}":
        raise ValueError("no set of ours")
    wide = 32 if kind[1] == "ipv4_addr" else 128
    return _name(name[1]), (wide, tuple(span(part, wide) for part in elements[1].split(", ")))


def span(text: str, wide: int) -> Range:
    """An address, a prefix or first-last."""
    first, dash, last = text.partition("-")
    if dash:
        return address(first, wide), address(last, wide)
    base, slash, length = text.partition("/")
    return prefix(base, int(length), wide) if slash else (address(base, wide), address(base, wide))


class _Line:
    """One rule, token by token."""

    def __init__(self, line: str, table: Table) -> None:
        self.tokens = _TOKEN.findall(line)
        if "".join(self.tokens) != re.sub(r"\s+(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", "", line):
            raise ValueError("characters that no rule has")
        self.table = table

    def _next(self) -> str:
        return str(self.tokens.pop(0)) if self.tokens else ""

    def _expect(self, *words: str) -> None:
        for word in words:
            if self._next() != word:
                raise ValueError(f"`{word}` is missing")

    def rule(self) -> Rule:
        """The whole line."""
        tests: list[Test] = []
        verdict = target = comment = ""
        by_state: tuple[tuple[str, str], ...] = ()
        limited = False
        while self.tokens:
            word = self._next()
            if word == "comment":
                found = _COMMENT.fullmatch(self._next())
                if found is None or self.tokens:
                    raise ValueError("no comment of ours")
                comment = found[1]
            elif verdict:
                raise ValueError("something after a verdict")
            elif word == "counter":
                pass
            elif word in ("accept", "drop", "return"):
                verdict = word
            elif word in ("goto", "jump"):
                verdict, target = word, _name(self._next())
            elif word == "reject":
                verdict = self._reject()
            elif word in ("limit", "log"):
                limited = True
                self._told(word)
            elif word == "ct" and self.tokens[:2] == ["state", "vmap"]:
                verdict, by_state = "vmap", self._map()
            else:
                tests.append(self._test(word))
        if limited and verdict:
            raise ValueError("a verdict that depends on how often")
        return Rule(tuple(tests), verdict, target, comment, by_state)

    def _reject(self) -> str:
        said = " ".join(self.tokens)
        if said not in ("with tcp reset", "with icmpx type admin-prohibited"):
            raise ValueError("no answer of ours")
        self.tokens.clear()
        return "reject"

    def _told(self, word: str) -> None:
        if word == "limit":
            self._expect("rate")
            rate, _, burst, _ = (self._next() for _ in range(4))
            if not _LIMIT.fullmatch(rate) or not burst.isdecimal():
                raise ValueError("no limit of ours")
        else:
            self._expect("prefix")
            if not _COMMENT.fullmatch(self._next()):
                raise ValueError("no prefix of ours")

    def _map(self) -> tuple[tuple[str, str], ...]:
        self._expect("state", "vmap", "{")
        out: list[tuple[str, str]] = []
        while True:
            state = self._next()
            self._expect(":")
            verdict = self._next()
            out.append((state, f"goto {_name(self._next())}" if verdict == "goto" else verdict))
            if (after := self._next()) != ",":
                if after != "}":
                    raise ValueError("a map without end")
                return tuple(out)

    def _test(self, word: str) -> Test:
        about = self._next()
        if word in _FAMILIES and about in _ENDS:
            negated = self.tokens[0] == "!="
            if negated:
                self._next()
            return Test(_ENDS[about], wide=_FAMILIES[word], values=self._addresses(_FAMILIES[word]), negated=negated)
        if word == "meta" and about == "nfproto":
            return Test("family", wide={"ipv4": 32, "ipv6": 128}.get(self._next(), 0))
        if word == "meta" and about == "l4proto":
            return Test("proto", values=self._numbers("proto", None))
        if word in PORTED and about in ("sport", "dport"):
            return Test(about, PORTED[word], values=self._numbers(about, PORTED[word]))
        if word in ("icmp", "icmpv6") and about == "type":
            proto = 1 if word == "icmp" else 58
            return Test("type", proto, values=self._numbers("type", proto))
        if word == "ct" and about in ("state", "direction"):
            return Test(about, words=(self._next(),))
        if word == "tcp" and about == "flags":
            self._expect("&", "syn", "==", "0")
            return Test("no_syn", 6)
        raise ValueError(f"`{visible(word)} {visible(about)}` is nothing that our rules ask")

    def _values(self) -> list[str]:
        first = self._next()
        if first != "{":
            return [first]
        out = [self._next()]
        while (after := self._next()) == ",":
            out.append(self._next())
        if after != "}":
            raise ValueError("a set without end")
        return out

    def _numbers(self, about: str, proto: int | None) -> tuple[Range, ...]:
        out = []
        for text in self._values():
            first, dash, last = text.partition("-")
            out.append((number(first, about, proto), number(last if dash else first, about, proto)))
        return tuple(out)

    def _addresses(self, wide: int) -> tuple[Range, ...]:
        values = self._values()
        if values[0].startswith("@"):
            found = self.table.sets.get(values[0][1:])
            if found is None or found[0] != wide or len(values) > 1:
                raise ValueError("a set that is not there")
            return found[1]
        return tuple(span(text, wide) for text in values)
