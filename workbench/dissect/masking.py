"""tshark's tree of a packet (PDML) to nodes, with everything that is not on the allow-list masked. Runs in the child.

Of a shown field only `show` is used, never `showname`: dissectors append what they like to a line's text (a session's
line names its user, an exchange's line quotes the request). Names of values come from the catalogue instead.
"""

from __future__ import annotations

import re
from typing import Any, Final
from xml.etree import ElementTree as Tree

from workbench.dissect.allowed import ONLY_IN_TLS
from workbench.dissect.catalogue import Catalogue
from workbench.dissect.shapes import LONGEST, shown

#: A tree with more is cut there.
NODES: Final = 20_000
DEPTH: Final = 80
#: Longest text of a node that is unmasked, characters.
_WHOLE: Final = 4096
#: Lines of a tree that are no fields but say how it is built, by the protocol that they stand in ('' = any).
_STRUCTURE: Final = {
    "": re.compile(r"Timestamps|SEQ/ACK analysis"),
    "dns": re.compile(r"Queries|Answers|Authoritative nameservers|Additional records"),
    "tls": re.compile(
        r"Extension: [a-z0-9_]{1,40} \(len=\d{1,5}\)|Server Name Indication extension|Key Share extension"
        r"|Key Share Entry: Group: \w{1,30}, Key Exchange length: \d{1,5}"
    ),
    "ssh": re.compile(r"SSH Version \d|Algorithms|Key Exchange"),
    "smb2": re.compile(
        r"SMB2 (?:Transform )?Header|Encrypted SMB2 data"
        r"|[A-Z][A-Za-z]{1,20}(?: [A-Z][A-Za-z]{1,20})? (?:Request|Response) \(0x[0-9a-f]{2}\)"
    ),
}
#: Bytes as tshark writes a field's value; its line says only how many there are.
_BYTES: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{0,2})+")
_NONE: Final = re.compile(r"(?!)")
#: Protocols whose line in the tree is not a field's, and what it is called.
_UNNAMED: Final = "Data"
_CUT: Final = ["", "(more was left out)", "", True, -1, 0, []]


class PacketTooStrangeError(Exception):
    """What tshark printed of a packet is no XML that can be taken."""


def parse(piece: bytes) -> Tree.Element:
    """One `<packet>`. PacketTooStrangeError where it is broken; characters that XML cannot hold become `?`."""
    text = piece.decode("utf-8", "replace").translate(_BAD)
    if "<!" in text:
        raise PacketTooStrangeError
    try:
        return Tree.fromstring(text)  # noqa: S314  no document type, so no entities: refused above
    except (Tree.ParseError, ValueError, RecursionError) as error:
        raise PacketTooStrangeError from error


def rows(packet: Tree.Element, catalogue: Catalogue, *, unmask: bool) -> list[Any]:
    """The packet's nodes as lists (name, label, value, masked, offset, length, children), as they cross the pipe."""
    return _Walk(catalogue, unmask, _frame_length(packet)).below(packet, 0, within=("",))


class _Walk:
    def __init__(self, catalogue: Catalogue, unmask: bool, size: int) -> None:
        self.catalogue, self.unmask, self.size = catalogue, unmask, size
        self.count = 0

    def below(self, parent: Tree.Element, depth: int, within: tuple[str, ...]) -> list[Any]:
        """within: the protocols that these stand in, outermost first."""
        out: list[Any] = []
        for element in parent:
            name = element.get("name", "")
            if element.get("hide") == "yes" or (depth == 0 and name == "geninfo"):
                continue
            self.count += 1
            if self.count > NODES or depth > DEPTH:
                out.append(_CUT)
                break
            proto = element.tag == "proto"
            row = self.protocol(element, name) if proto else self.field(element, name, within)
            row[6] = self.below(element, depth + 1, (*within, name) if proto else within)
            row[3] = row[3] and not (row[2] == "" and row[6])
            out.append(row)
        return out

    def protocol(self, element: Tree.Element, name: str) -> list[Any]:
        """A protocol's line: its registered name. A layer that is only bytes has no name of its own."""
        label = self.catalogue.protocol(name) or _UNNAMED
        value = _rest(element.get("showname", ""), label) if self.unmask else ""
        return [name if label != _UNNAMED else "", label, value, False, *self.place(element), []]

    def field(self, element: Tree.Element, name: str, within: tuple[str, ...]) -> list[Any]:
        label = self.catalogue.label(name) if name else None
        text = element.get("show", "")
        place = self.place(element)
        if self.unmask:
            line = text if _BYTES.fullmatch(text[:_WHOLE]) else element.get("showname") or text
            return [name, label or "", _rest(line, label or "")[:_WHOLE], False, *place, []]
        if label is None and (protocol := self.catalogue.protocol(name)) is not None:
            return [name, protocol, "", False, *place, []]
        if label is None:
            known = text if not name and any(_STRUCTURE.get(one, _NONE).fullmatch(text) for one in ("", within[-1])) else ""
            return ["", known or "(text)", "" if known else _mask(place), not known, *place, []]
        if not text and not element.get("value"):  # a line that only holds others together
            return [name, label, "", len(element) == 0 and place[1] > 0, *place, []]
        value = self.value(name, text, within)
        return [name, label, _mask(place) if value is None else value, value is None, *place, []]

    def value(self, name: str, text: str, within: tuple[str, ...]) -> str | None:
        """What is shown of an allowed field; None for any other, and for one that does not look as it should."""
        shape = self.catalogue.shapes.get(name)
        if shape is None or (name.startswith(ONLY_IN_TLS) and "tls" not in within):
            return None
        found = shown(shape, text)
        said = "" if found is None or shape else self.catalogue.value(name, text)
        return f"{said} ({found})"[:LONGEST] if said else found

    def place(self, element: Tree.Element) -> tuple[int, int]:
        """Offset and length in the packet; -1 where it stands in bytes put together from several packets."""
        offset, length = _number(element.get("pos")), _number(element.get("size"))
        return (offset if offset + length <= self.size else -1), length


def _mask(place: tuple[int, int]) -> str:
    length = place[1]
    return f"(masked, {length} byte{'' if length == 1 else 's'})" if length else "(masked)"


def _rest(line: str, label: str) -> str:
    """A line of the tree without the label it begins with."""
    return line[len(label) :].removeprefix(":").strip() if label and line.startswith(label) else line


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _frame_length(packet: Tree.Element) -> int:
    for proto in packet:
        if proto.get("name") == "geninfo":
            return next((_number(field.get("show")) for field in proto if field.get("name") == "caplen"), 0)
    return 0


_BAD: Final = dict.fromkeys([*(c for c in range(32) if c not in (9, 10, 13)), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "?")
