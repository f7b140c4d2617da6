"""Fields of every protocol on every capture of the set that has it, against tshark's: the table of docs/conformance.md.

The tests of the suite compare chosen captures (`test_*_fields.py`); this walks all of them with the same comparisons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.conformance import test_dhcp_fields, test_dns_fields, test_ntp_fields, test_tls_fields, test_web_fields
from tests.conformance import test_windows_fields as windows
from tests.conformance.captures import captures, folder
from tests.conformance.checks import reading
from tests.conformance.field_causes import PROVEN
from tests.conformance.fields import Agreement, asked
from tests.conformance.oracle import layers

Comparison = Callable[[str, Agreement], None]


def _dns(name: str, agreed: Agreement) -> None:
    shown = asked(folder() / name, test_dns_fields.SHOWN, test_dns_fields.FIELDS)
    test_dns_fields.compare(name, reading(name).rows("dns"), shown, agreed)


def _hellos(transport: str) -> Comparison:
    def compared(name: str, agreed: Agreement) -> None:
        tables = {table: reading(name).rows(table) for table in ("flows", "tls", "quic")}
        shown = asked(folder() / name, test_tls_fields.SHOWN, test_tls_fields.FIELDS)
        test_tls_fields.compare(name, tables, [packet for packet in shown if packet[f"{transport}.stream"]], agreed)

    return compared


def _windows(*kinds: str) -> Comparison:
    return lambda name, agreed: windows.compare(name, agreed, kinds)


#: By table: tshark's names of the protocol, and what is compared.
COMPARISONS: dict[str, tuple[tuple[str, ...], Comparison]] = {
    "dns": (("dns", "mdns", "llmnr", "nbns"), _dns),
    "tls": (("tls",), _hellos("tcp")),
    "quic": (("quic",), _hellos("udp")),
    "http": (("http",), test_web_fields.http),
    "ssh": (("ssh",), test_web_fields.ssh),
    "smb": (("smb", "smb2"), _windows("smb", "dialect", "share")),
    "dcerpc": (("dcerpc",), _windows("bind", "call")),
    "kerberos": (("kerberos",), _windows("kerberos")),
    "rdp": (("tpkt", "rdp"), test_web_fields.rdp),
    "dhcp": (("dhcp", "dhcpv6"), lambda name, agreed: test_dhcp_fields.compare(folder() / name, agreed)),
    "ntp": (("ntp",), lambda name, agreed: test_ntp_fields.compare(folder() / name, agreed)),
}


@dataclass
class Compared:
    """One protocol over all captures. of: what came of each capture."""

    table: str
    of: dict[str, Agreement] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """Values compared."""
        return sum(agreed.compared.total() for agreed in self.of.values())

    @property
    def differ(self) -> int:
        """Values that differ."""
        return sum(agreed.differ.total() for agreed in self.of.values())

    @property
    def extra(self) -> int:
        """Of those that differ, values of ours where tshark shows none."""
        return sum(agreed.extra for agreed in self.of.values())

    @property
    def proven(self) -> int:
        """Of those, values that were looked up in the packets and are there (field_causes.PROVEN)."""
        return sum(agreed.extra for capture, agreed in self.of.items() if (self.table, capture) in PROVEN)


def walk() -> list[Compared]:
    """Every protocol over every capture in which tshark or this program finds it."""
    found = {table: Compared(table) for table in COMPARISONS}
    seen: set[bytes] = set()
    for name in captures():
        content = hashlib.sha256((folder() / name).read_bytes()).digest()
        if content in seen:  # the same capture in two collections
            continue
        seen.add(content)
        said = layers(folder() / name)
        for table, (names, compare) in COMPARISONS.items():
            if said & set(names) or reading(name).rows(table):
                agreed = Agreement(most_examples=400)
                compare(name, agreed)
                if agreed.compared:
                    found[table].of[name] = agreed
        reading.cache_clear()
    return list(found.values())
