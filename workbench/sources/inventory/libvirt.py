"""Machines of libvirt to claims: `virsh dumpxml`, `net-dumpxml`, `domiflist`, `domifaddr`, `net-dhcp-leases`.

XML is read by expat with a document type refused, so that no entity is ever expanded, and by events, so that depth costs nothing.
`dumpxml` names a machine and its MACs but rarely an address; the tables name addresses of MACs: they are joined by MAC over all
files of one import.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from workbench.records.claims import Claim, claimed_address, claimed_mac, claimed_text, claimed_time
from workbench.sources.inventory.told import Told

ORIGIN: Final = "libvirt"
STRENGTH: Final = 1.0
MOST_BYTES: Final = 256 << 20
_MOST_DEPTH: Final = 64
_MOST_MACHINES: Final = 1_000_000
_DASHES: Final = re.compile(r"\s*-{10,}\s*")
_LEASE: Final = re.compile(
    r"\s*(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\s+ipv[46]\s+(\S+)\s+(\S+)", re.IGNORECASE | re.ASCII
)


@dataclass(slots=True)
class Machine:
    """A machine as its document tells it. addresses: address and MAC. networks: of libvirt, by MAC."""

    uid: str = ""
    name: str = ""
    macs: list[str] = field(default_factory=list)
    addresses: list[tuple[str, str | None]] = field(default_factory=list)


class Libvirt:
    """Take files one by one, then `finish`. told: claims, and what could not be used."""

    def __init__(self) -> None:
        self.told = Told()
        self._machines: dict[str, Machine] = {}  # by MAC
        self._held: list[tuple[str, str, str, dt.datetime]] = []  # MAC, address, name told beside it, time
        self._direct: list[tuple[Machine, dt.datetime]] = []

    def take(self, data: bytes, at: dt.datetime, name: str = "") -> None:
        """One file, made at that time (naive UTC). name: of the machine, where the file's name tells it (domiflist, domifaddr).

        Raises ValueError where it is none of these.
        """
        text = data.lstrip(b"\xef\xbb\xbf \t\r\n")
        if text.startswith(b"<"):
            self._xml(text, at)
        else:
            self._table(text.decode("utf-8", "replace"), at, name)

    def finish(self) -> None:
        """Every file was taken: claims."""
        told = self.told
        for machine, at in self._direct:
            for ip, mac in machine.addresses:
                told.claim(_claim(machine, ip, mac, at, "dumpxml"))
        for mac, ip, name, at in self._held:
            machine = self._machines.get(mac) or Machine(f"{ORIGIN}:{name}" if name else f"mac:{mac}", name)
            told.claim(_claim(machine, ip, mac, at, "lease or interface"))
        named = {mac for mac, *_ in self._held} | {mac for machine, _ in self._direct for _, mac in machine.addresses if mac}
        for mac in self._machines:
            if mac not in named:
                told.bad("an interface of which no file names an address (domifaddr, net-dhcp-leases)", mac)

    # -- XML --------------------------------------------------------------------------------------

    def _xml(self, data: bytes, at: dt.datetime) -> None:
        reader = _Reader()
        found = reader.read(data)
        for machine in found:
            self.told.objects += 1
            if not machine.name and not machine.uid:
                self.told.bad("a machine without a name", "the document")
                continue
            machine.uid = machine.uid or f"{ORIGIN}:{machine.name}"
            for mac in machine.macs:
                if len(self._machines) < _MOST_MACHINES:
                    self._machines[mac] = machine
            self._direct.append((machine, at))
        if not found:
            raise ValueError("no <domain>, and no <host> of a network, in it")

    # -- tables -----------------------------------------------------------------------------------

    def _table(self, text: str, at: dt.datetime, name: str) -> None:
        lines = text.splitlines()
        heading = next((n for n, line in enumerate(lines[:50]) if _DASHES.fullmatch(line)), None)
        if heading is None or not heading:
            raise ValueError("neither XML nor a table as virsh writes it")
        columns = lines[heading - 1].lower().split()
        if "expiry" in columns:
            read = self._lease
        elif columns[:2] == ["name", "mac"]:
            read = self._address
        elif columns[:2] == ["interface", "type"]:
            read = self._interface
        else:
            raise ValueError("none of domiflist, domifaddr and net-dhcp-leases")
        for n, line in enumerate(lines[heading + 1 :], heading + 2):
            if line.strip():
                self.told.objects += 1
                if not read(line, at, name):
                    self.told.bad("a line that is not of its table", f"line {n}")

    def _lease(self, line: str, at: dt.datetime, name: str) -> bool:  # noqa: ARG002
        """Expiry, MAC, protocol, address, host name: a lease held when it was listed. It is renewed: its expiry is no end."""
        found = _LEASE.match(line)
        mac, ip = (claimed_mac(found[2]), claimed_address(found[3].partition("/")[0])) if found is not None else (None, None)
        if found is None or mac is None or ip is None or claimed_time(found[1]) is None:
            return False
        self._held.append((mac, ip, "" if found[4] == "-" else claimed_text(found[4]) or "", at))
        return True

    def _address(self, line: str, at: dt.datetime, name: str) -> bool:
        """Name of the interface, MAC, protocol, address; further addresses have dashes for name and MAC."""
        words = line.split()
        if len(words) != 4:
            return False
        mac = claimed_mac(words[1]) if words[1] != "-" else self._last_mac
        ip = claimed_address(words[3].partition("/")[0])
        self._last_mac = mac
        if words[2].lower() not in ("ipv4", "ipv6") or (mac is None and words[0] != "lo"):
            return False
        if mac is not None and ip is not None:
            self._held.append((mac, ip, name, at))
        return True

    def _interface(self, line: str, at: dt.datetime, name: str) -> bool:  # noqa: ARG002
        """Interface, type, source, model, MAC: which MACs a machine has."""
        words = line.split()
        mac = claimed_mac(words[-1]) if len(words) >= 4 else None
        if mac is None:
            return False
        if name and mac not in self._machines and len(self._machines) < _MOST_MACHINES:
            self._machines[mac] = Machine(f"{ORIGIN}:{name}", name, [mac])
        return True

    _last_mac: str | None = None


class _Reader:
    """Machines of `dumpxml` (one or many, under any root), hosts of `net-dumpxml`. Attributes and short text only."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._found: list[Machine] = []
        self._now: Machine | None = None
        self._mac: str | None = None
        self._text = ""

    def read(self, data: bytes) -> list[Machine]:
        """ValueError where it is not XML, has a document type, or is nested too deeply."""
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise ValueError(f"not XML at line {error.lineno}") from error
        return self._found

    def _start(self, tag: str, given: dict[str, str]) -> None:
        self._path.append(tag)
        self._text = ""
        if len(self._path) > _MOST_DEPTH:
            raise ValueError("XML nested too deeply")
        if tag == "domain":
            self._now = Machine()
        elif tag == "host" and "dhcp" in self._path and self._now is None:
            mac, ip = claimed_mac(given.get("mac")), claimed_address(given.get("ip"))
            name = claimed_text(given.get("name")) or ""
            if ip is not None and (mac is not None or name):
                uid = f"{ORIGIN}:{name}" if name else f"mac:{mac}"
                self._found.append(Machine(uid, name or (mac or ""), [mac] if mac else [], [(ip, mac)]))
        elif self._now is not None and "interface" in self._path:
            if tag == "interface":
                self._mac = None
            elif tag == "mac":
                self._mac = claimed_mac(given.get("address"))
                if self._mac is not None:
                    self._now.macs.append(self._mac)
            elif tag == "ip" and (ip := claimed_address(given.get("address"))) is not None:
                self._now.addresses.append((ip, self._mac))

    def _end(self, tag: str) -> None:
        depth = self._path[::-1].index("domain") if "domain" in self._path else -1
        if self._now is not None and depth == 1 and tag in ("name", "uuid"):
            text = claimed_text(self._text.strip()) or ""
            if tag == "name":
                self._now.name = text
            else:
                self._now.uid = text
        self._path.pop()
        if tag == "domain" and self._now is not None:
            self._found.append(self._now)
            self._now = None

    def _data(self, text: str) -> None:
        if len(self._text) < 4096 and self._path[-1] in ("name", "uuid"):
            self._text += text


def _refuse(*_: object) -> None:
    raise ValueError("XML with a document type: virsh writes none, and entities are not expanded")


def _claim(machine: Machine, ip: str, mac: str | None, at: dt.datetime, detail: str) -> Claim:
    name = machine.name or None
    kind = "vm" if not machine.uid.startswith("mac:") else "host"
    return Claim(machine.uid, kind, ORIGIN, STRENGTH, name, ip=ip, mac=mac, ts_from=at, ts_seen=at, detail=detail)
