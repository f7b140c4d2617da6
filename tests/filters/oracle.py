"""Filters with what they mean, made together: a text, and a plain function that says whether a flow fulfils it.

Nothing here knows the parser, the compiler or SQL. A flow is a dictionary; what it lacks is None. The logic has two
values: a condition on what is not there is false, whatever the comparison, and its negation true. SQL's third value
must therefore never come through, which is what is tried.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]
SECOND = 1_000_000
T0 = 1_700_000_000 * SECOND


@dataclass(frozen=True)
class Made:
    """A filter's text and meaning. of_slice: its meaning for one row of flow_slices, where it is about nothing else."""

    text: str
    holds: Callable[[Row], bool]
    of_slice: Callable[[Row], bool] | None = None
    plain: bool = True


# --- rows -------------------------------------------------------------------------------------------------------------------

TEXTS = [
    "S0",
    "SF",
    "REJ",
    "",
    "a'b",
    'say "hi"',
    "50%_off",
    "te*t",
    "x?y",
    "[a]",
    "back\\slash",
    "Größe",
    "日本",
    "\x1b[0m",
    "ns/train-1",
]
SERVICES = ["smb", "smb,dcerpc", "dcerpc", "smb,dcerpc,ntlm", "tls", "tls,http", "mb,dc", "", "a*b,c", "x\ny,z"]
IP4 = ["10.0.0.1", "10.0.0.2", "10.0.16.7", "10.99.255.255", "172.16.0.1", "172.31.9.9", "0.0.0.0", "255.255.255.255"]
IP6 = ["::", "::1", "fd00:99::1", "fe80::a:b", "2001:db8:0:1::ff", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]
MACS = ["00:0c:29:00:00:01", "00:0c:29:ff:ff:ff", "02:00:00:00:00:0a", "33:33:00:00:00:01"]
PORTS = [0, 1, 22, 53, 80, 443, 445, 1023, 1024, 40000, 65535]
BIG = [0, 1, 999, 1000, 1024, 65536, 10**6, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1]
FLAGS = [0, 2, 4, 0x12, 0x1B, 0x3F, 255]
MOMENTS = [T0, T0 + 1, T0 + SECOND, T0 + 60 * SECOND, T0 + 3600 * SECOND]


def _maybe(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.sampled_from(values))


def _blob(address: str | None) -> bytes | None:
    if address is None:
        return None
    packed = ipaddress.ip_address(address).packed
    return packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed


@st.composite
def flow_rows(draw: st.DrawFn) -> Row:
    """A flow, and its slices under the key `slices`."""
    row: Row = {}
    for column in ("src_ip", "dst_ip", "outer_src_ip", "outer_dst_ip"):
        row[column] = draw(_maybe(IP4 + IP6))
    for side in ("src", "dst"):
        packed = _blob(row[f"{side}_ip"])
        row[f"{side}_addr"] = packed
        row[f"{side}_hi"] = None if packed is None else int.from_bytes(packed[:8], "big", signed=True)
        row[f"{side}_lo"] = None if packed is None else int.from_bytes(packed[8:], "big", signed=True)
    for column in ("src_port", "dst_port", "vlan", "inner_vlan", "outer_vlan"):
        row[column] = draw(_maybe(PORTS))
    for column in ("conn_state", "history"):
        row[column] = draw(_maybe(TEXTS))
    row["service"] = draw(_maybe(SERVICES + TEXTS))
    for column in ("src_mac", "dst_mac", "outer_src_mac", "outer_dst_mac"):
        row[column] = draw(_maybe(MACS))
    for column in ("src_flags", "dst_flags"):
        row[column] = draw(_maybe(FLAGS))
    for column in ("src_bytes", "dst_bytes", "src_pkts", "dst_pkts"):
        row[column] = draw(st.sampled_from(BIG))
    row["rtt_us"] = draw(_maybe([0, 1, 50, 5000, SECOND]))
    row["proto"] = draw(st.sampled_from([1, 6, 17, 58, 132]))
    row["sensor"], row["network"] = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(TEXTS))
    row["ts"] = draw(st.sampled_from(MOMENTS))
    row["ts_end"] = row["ts"] + draw(st.sampled_from([0, 1, SECOND, 100 * SECOND]))
    row["duration"] = (row["ts_end"] - row["ts"]) / SECOND
    number = st.sampled_from([0, 1, 2, 9])
    slices = draw(st.lists(st.fixed_dictionaries({"src_pkts": number, "dst_pkts": number}), max_size=3))
    return row | {"slices": slices}


# --- fields, restated by hand -----------------------------------------------------------------------------------------------

Read = Callable[[Row], list[Any]]


def _of(*columns: str, proto: int | None = None, family: int = 0) -> Read:
    def read(row: Row) -> list[Any]:
        if proto is not None and row["proto"] != proto:
            return []
        found = [row[column] for column in columns if row[column] is not None]
        return [v for v in found if not family or (":" in v) == (family == 6)]

    return read


NUMBERS: dict[str, Read] = {
    "src_port": _of("src_port"),
    "port": _of("src_port", "dst_port"),
    "tcp.port": _of("src_port", "dst_port", proto=6),
    "tcp.dstport": _of("dst_port", proto=6),
    "udp.srcport": _of("src_port", proto=17),
    "vlan": _of("vlan"),
    "vlan.id": _of("vlan", "inner_vlan", "outer_vlan"),
    "proto": _of("proto"),
    "src_bytes": _of("src_bytes"),
    "dst_pkts": _of("dst_pkts"),
    "tcp.flags": _of("src_flags", "dst_flags", proto=6),
    "src_flags": _of("src_flags"),
}
WORDS: dict[str, Read] = {name: _of(name) for name in ("conn_state", "history", "service", "sensor", "network")}


def _any_name(row: Row) -> list[Any]:
    """A stack's names, and the stack as it stands: what == != and in look at; no name has a comma."""
    return [] if row["service"] is None else [*row["service"].split(","), row["service"]]


def words_of(name: str, op: str) -> Read:
    """What a comparison of a text looks at."""
    return _any_name if name == "service" and op in ("==", "!=", "eq", "ne", "in", "not in") else WORDS[name]


ADDRESSES: dict[str, tuple[Read, int]] = {
    "src_ip": (_of("src_ip"), 0),
    "outer_dst_ip": (_of("outer_dst_ip"), 0),
    "addr": (_of("src_ip", "dst_ip"), 0),
    "ip.src": (_of("src_ip", family=4), 4),
    "ip.addr": (_of("src_ip", "dst_ip", "outer_src_ip", "outer_dst_ip", family=4), 4),
    "ipv6.dst": (_of("dst_ip", family=6), 6),
    "ipv6.addr": (_of("src_ip", "dst_ip", "outer_src_ip", "outer_dst_ip", family=6), 6),
}
HARDWARE: dict[str, Read] = {
    "src_mac": _of("src_mac"),
    "eth.dst": _of("dst_mac"),
    "eth.addr": _of("src_mac", "dst_mac", "outer_src_mac", "outer_dst_mac"),
}
PRESENCES: dict[str, Callable[[Row], bool]] = {
    "tcp": lambda row: row["proto"] == 6,
    "icmpv6": lambda row: row["proto"] == 58,
    "ip": lambda row: any(row[c] is not None and ":" not in row[c] for c in ("src_ip", "outer_src_ip")),
    "ipv6": lambda row: any(row[c] is not None and ":" in row[c] for c in ("src_ip", "outer_src_ip")),
    "vlan": lambda row: any(row[c] is not None for c in ("vlan", "inner_vlan", "outer_vlan")),
    "flow_slices": lambda row: bool(row["slices"]),
    "frame": lambda row: True,
}


def compared(op: str, read: Read, equal: Callable[[Any], bool], order: Callable[[Any], int | None]) -> Callable[[Row], bool]:
    """equal: whether a value is one of those asked for. order: below 0, 0 or above; None where there is no order."""
    ordered: dict[str, Callable[[int], bool]] = {
        "<": lambda n: n < 0, "<=": lambda n: n <= 0, ">": lambda n: n > 0, ">=": lambda n: n >= 0
    }  # fmt: skip
    named = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
    op = named.get(op, op)
    if op in ordered:
        return lambda row: any((at := order(v)) is not None and ordered[op](at) for v in read(row))
    return {
        "==": lambda row: any(equal(v) for v in read(row)),
        "!=": lambda row: bool(read(row)) and not any(equal(v) for v in read(row)),
        "===": lambda row: bool(read(row)) and all(equal(v) for v in read(row)),
        "!==": lambda row: any(not equal(v) for v in read(row)),
        "in": lambda row: any(equal(v) for v in read(row)),
        "not in": lambda row: not any(equal(v) for v in read(row)),
    }[op]


def _sign(a: Any, b: Any) -> int:
    return (a > b) - (a < b)


EQUALS = ("==", "!=", "===", "!==", "eq", "ne")
ORDERS = ("<", "<=", ">", ">=", "lt", "ge")


@st.composite
def number_tests(draw: st.DrawFn) -> Made:
    name = draw(st.sampled_from(sorted(NUMBERS)))
    values = st.sampled_from([0, 1, 2, 4, 6, 17, 22, 80, 443, 1024, 40000, 65535])
    if draw(st.booleans()):
        value = draw(values)
        op = draw(st.sampled_from(EQUALS + ORDERS))
        said = draw(st.sampled_from([str(value), hex(value)]))
        return Made(f"{name} {op} {said}", compared(op, NUMBERS[name], lambda v: v == value, lambda v: _sign(v, value)))
    items = draw(st.lists(st.tuples(values, values).map(sorted), min_size=1, max_size=3))
    op = draw(st.sampled_from(["in", "not in"]))
    listed = ", ".join(f"{a}..{b}" if a != b else str(a) for a, b in items)
    return Made(
        f"{name} {op} {{{listed}}}", compared(op, NUMBERS[name], lambda v: any(a <= v <= b for a, b in items), lambda v: None)
    )


@st.composite
def bit_tests(draw: st.DrawFn) -> Made:
    name, mask = draw(st.sampled_from(["src_flags", "tcp.flags"])), draw(st.sampled_from([1, 2, 0x12, 64]))
    if draw(st.booleans()):
        return Made(f"{name} & {mask:#x}", lambda row: any(v & mask for v in NUMBERS[name](row)))
    value = draw(st.sampled_from([0, 2, 0x12]))
    return Made(f"{name} & {mask} == {value}", lambda row: any(v & mask == value for v in NUMBERS[name](row)))


@st.composite
def flag_tests(draw: st.DrawFn) -> Made:
    name, bit = draw(st.sampled_from([("syn", 2), ("reset", 4), ("ack", 16)]))
    wanted = draw(st.booleans())

    def holds(row: Row) -> bool:
        seen = NUMBERS["tcp.flags"](row)
        return bool(seen) and any(v & bit for v in seen) == wanted

    return Made(f"tcp.flags.{name} {draw(st.sampled_from(['==', 'eq']))} {int(wanted)}", holds)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("*", "[*]").replace("?", "[?]") + '"'


def _stack_like(name: str, pattern: list[str | None]) -> Read:
    """What a pattern is held against: names where it has no comma, stacks where it has one."""
    if name != "service" or any(p is not None and "," in p for p in pattern):
        return WORDS[name]
    return lambda row: [] if row["service"] is None else row["service"].split(",")


def _like(value: str, pattern: list[str | None]) -> bool:
    """pattern: texts, and None for any characters."""
    return re.fullmatch("".join(".*" if p is None else re.escape(p) for p in pattern), value, re.DOTALL) is not None


any_text = st.one_of(
    st.sampled_from(TEXTS), st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)
)


def _part(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A text, or what it begins with: what stands on one side of an asterisk."""
    return st.tuples(texts, st.integers(0, 3)).map(lambda pair: pair[0][: pair[1]] if pair[1] else pair[0])


@st.composite
def text_tests(draw: st.DrawFn) -> Made:
    name = draw(st.sampled_from(sorted(WORDS)))
    any_of = st.one_of(st.sampled_from(SERVICES), any_text) if name == "service" else any_text
    text = draw(any_of)
    kind = draw(st.sampled_from(["plain", "contains", "matches", "glob", "set"]))
    if kind == "plain":
        op = draw(st.sampled_from(EQUALS + ORDERS))
        if op in ORDERS:
            said = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            return Made(
                f"{name} {op} {said}", compared(op, WORDS[name], lambda v: False, lambda v: _sign(v.encode(), text.encode()))
            )
        return Made(f"{name} {op} {quoted(text)}", compared(op, words_of(name, op), lambda v: v == text, lambda v: None))
    if kind == "contains":
        said = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return Made(f"{name} contains {said}", lambda row: any(text in v for v in WORDS[name](row)))
    if kind == "matches":
        plain = re.sub(r"[^a-z0-9/ ]", "", text.lower())
        return Made(f'{name} matches "^{plain}"', lambda row: any(v.lower().startswith(plain) for v in WORDS[name](row)))
    if kind == "glob":
        text, other = draw(st.tuples(_part(any_of), _part(any_of)))
        read = _stack_like(name, [text, None, other])
        op = draw(st.sampled_from(["==", "!="]))
        asked = f"{name} {op} {quoted(text)[:-1]}*{quoted(other)[1:]}"
        return Made(asked, compared(op, read, lambda v: _like(v, [text, None, other]), lambda v: None))
    texts = draw(st.lists(any_of, min_size=1, max_size=3))
    op = draw(st.sampled_from(["in", "not in"]))
    return Made(
        f"{name} {op} {{{', '.join(map(quoted, texts))}}}", compared(op, words_of(name, op), lambda v: v in texts, lambda v: None)
    )


@st.composite
def address_tests(draw: st.DrawFn) -> Made:
    name = draw(st.sampled_from(sorted(ADDRESSES)))
    read, family = ADDRESSES[name]
    text = draw(st.sampled_from({0: IP4 + IP6, 4: IP4, 6: IP6}[family]))
    made = ipaddress.ip_address(text)
    if draw(st.booleans()):
        op = draw(st.sampled_from(EQUALS + ORDERS))

        def order(v: str) -> int | None:
            other = ipaddress.ip_address(v)
            return _sign(int(other), int(made)) if other.version == made.version else None

        said = draw(st.sampled_from([text, made.exploded.upper()]))
        return Made(f"{name} {op} {said}", compared(op, read, lambda v: v == text, order))
    bits = draw(st.integers(0, 32 if made.version == 4 else 128))
    network = ipaddress.ip_network(f"{text}/{bits}", strict=False)
    op = draw(st.sampled_from(["==", "!=", "===", "!==", "in", "not in"]))
    said = f"{text}/{bits}" if "in" not in op else f"{{{text}/{bits}}}"
    return Made(f"{name} {op} {said}", compared(op, read, lambda v: ipaddress.ip_address(v) in network, lambda v: None))


@st.composite
def mac_tests(draw: st.DrawFn) -> Made:
    name, mac = draw(st.sampled_from(sorted(HARDWARE))), draw(st.sampled_from(MACS))
    op = draw(st.sampled_from(EQUALS))
    if draw(st.booleans()):
        return Made(
            f"{name} {op} {mac[:9].upper()}*", compared(op, HARDWARE[name], lambda v: v.startswith(mac[:9]), lambda v: None)
        )
    said = draw(st.sampled_from([mac, mac.upper().replace(":", "-")]))
    return Made(f"{name} {op} {said}", compared(op, HARDWARE[name], lambda v: v == mac, lambda v: None))


@st.composite
def measure_tests(draw: st.DrawFn) -> Made:
    """Sizes, durations and times; relative times count from an hour after T0."""
    op = draw(st.sampled_from(ORDERS))
    name, said, value = draw(
        st.sampled_from([
            ("src_bytes", "1kB", 1000), ("dst_bytes", "1MiB", 2**20), ("src_bytes", "64KiB", 65536), ("dst_bytes", "1MB", 10**6),
            ("duration", "1s", 1.0), ("duration", "1m40s", 100.0), ("duration", "1us", 1e-6),
            ("rtt_us", "5ms", 5000), ("rtt_us", "50", 50),
            ("ts", "-1h", T0), ("ts", "-59m", T0 + 60 * SECOND), ("ts", "1700000001", T0 + SECOND),
            ("ts", '"2023-11-14 22:13:20"', T0),
            ("ts", "2023-11-14T23:13:20.000001+01:00", T0 + 1), ("ts", "now", T0 + 3600 * SECOND),
        ])
    )  # fmt: skip
    return Made(f"{name} {op} {said}", compared(op, _of(name), lambda v: False, lambda v: _sign(v, value)))


@st.composite
def pair_tests(draw: st.DrawFn) -> Made:
    op = draw(st.sampled_from(["==", "!=", "<", ">="]))
    name, other = draw(
        st.sampled_from(
            [("src_bytes", "dst_bytes"), ("src_port", "dst_port"), ("src_flags", "dst_flags"), ("conn_state", "history")]
        )
    )

    def holds(row: Row) -> bool:
        a, b = row[name], row[other]
        if a is None or b is None:
            return False
        if isinstance(a, str):
            a, b = a.encode(), b.encode()
        return {"==": a == b, "!=": a != b, "<": a < b, ">=": a >= b}[op]

    return Made(f"{name} {op} {other}", holds)


presence_tests = st.one_of(
    st.sampled_from(sorted(PRESENCES)).map(lambda name: Made(name, PRESENCES[name])),
    st.sampled_from([*sorted({**WORDS, **HARDWARE}), "src_port", "rtt_us"]).map(
        lambda name: Made(name, lambda row: bool({**WORDS, **HARDWARE, **NUMBERS, "rtt_us": _of("rtt_us")}[name](row)))
    ),
)


@st.composite
def slice_tests(draw: st.DrawFn) -> Made:
    name, value = draw(st.sampled_from(["src_pkts", "dst_pkts"])), draw(st.sampled_from([0, 1, 2, 9]))
    op, of_slice = draw(
        st.sampled_from(
            [("==", lambda s: s[name] == value), ("!=", lambda s: s[name] != value), (">", lambda s: s[name] > value)]
        )
    )
    return Made(f"flow_slices.{name} {op} {value}", lambda row: any(of_slice(s) for s in row["slices"]), of_slice)


tests = st.one_of(
    number_tests(), bit_tests(), flag_tests(), text_tests(), address_tests(), mac_tests(), measure_tests(), pair_tests(),
    presence_tests, slice_tests(),
)  # fmt: skip


def _text(part: Made) -> str:
    return part.text if part.plain else f"({part.text})"


def _all(parts: list[Made]) -> Made:
    """Conditions on slices that stand side by side hold for one slice."""
    flows = [part for part in parts if part.of_slice is None]
    slices = [part.of_slice for part in parts if part.of_slice is not None]

    def holds(row: Row) -> bool:
        one = not slices or any(all(of(s) for of in slices) for s in row["slices"])
        return one and all(part.holds(row) for part in flows)

    return Made(" && ".join(map(_text, parts)), holds, plain=False)


def _any(parts: list[Made]) -> Made:
    of_slice = None
    if all(part.of_slice is not None for part in parts):
        of_slice = lambda s: any(part.of_slice(s) for part in parts if part.of_slice)  # noqa: E731
    return Made(" or ".join(map(_text, parts)), lambda row: any(part.holds(row) for part in parts), of_slice, plain=False)


def _odd(parts: list[Made]) -> Made:
    return Made(" ^^ ".join(map(_text, parts)), lambda row: sum(part.holds(row) for part in parts) % 2 == 1, plain=False)


def _not(part: Made) -> Made:
    return Made(f"!({part.text})", lambda row: not part.holds(row))


filters = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(_all),
        st.lists(inner, min_size=2, max_size=3).map(_any),
        st.lists(inner, min_size=2, max_size=3).map(_odd),
        inner.map(_not),
    ),
    max_leaves=8,
)
