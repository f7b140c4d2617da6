"""What the installed tshark calls things: its protocols, fields and the names of their values; made once a version.

From `tshark -G protocols`, `-G fields` and `-G values` (110 MB of text), kept as one file: a line of JSON, then the
fields sorted by name, one a line, searched where they stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from workbench.dissect.allowed import allowed, fits

#: Changed with the form of the file.
FORM: Final = 1
#: More of these are not tshark's own.
_FIELDS: Final = 1_000_000
_VALUES: Final = 400_000
_LONGEST: Final = 200


class Catalogue:
    """Names of protocols, fields and values of one version of tshark."""

    def __init__(self, data: bytes) -> None:
        """data: the file. ValueError where it is none of ours."""
        head, _, self._fields = data.partition(b"\n")
        about = json.loads(head)
        if not isinstance(about, dict) or about.get("form") != FORM:
            raise ValueError("a catalogue of another form")
        self.version: str = about["version"]
        self._protocols: dict[str, list[str]] = about["protocols"]
        self._values: dict[str, dict[str, str]] = about["values"]
        self._ranges: dict[str, list[tuple[int, int, str]]] = about["ranges"]
        #: Allowed fields that this tshark lacks, or has with a type that cannot be shown.
        self.missing: tuple[str, ...] = tuple(about["missing"])
        gone = frozenset(self.missing)
        self.shapes: Mapping[str, str] = {name: shape for name, shape in allowed().items() if name not in gone}
        self._labels: dict[str, str | None] = {}

    def protocol(self, name: str) -> str | None:
        """A protocol's full name, by its filter name."""
        found = self._protocols.get(name)
        return found[0] if found else None

    def short(self, name: str) -> str:
        """A protocol's short name (TLS, HTTP), by its filter name; that itself in capitals where it is not registered."""
        found = self._protocols.get(name)
        return found[1] if found else name.upper()

    def label(self, name: str) -> str | None:
        """A field's registered name; None where there is no such field."""
        if name not in self._labels:
            self._labels[name] = self._find(name)
        return self._labels[name]

    def value(self, name: str, text: str) -> str:
        """The name of a field's value; '' where it has none."""
        try:
            number = {"True": 1, "False": 0}.get(text)
            number = int(text, 0) if number is None else number
        except ValueError:
            return ""
        found = self._values.get(name, {}).get(str(number))
        if found is not None:
            return found
        return next((said for low, high, said in self._ranges.get(name, ()) if low <= number <= high), "")

    def _find(self, name: str) -> str | None:
        """Binary search over the lines."""
        data, key = self._fields, name.encode() + b"\t"
        low, high = 0, len(data)
        while low < high:
            start = data.rfind(b"\n", 0, (low + high) // 2) + 1
            end = data.find(b"\n", start)
            if data.startswith(key, start):
                return data[start + len(key) : end].decode("utf-8", "replace")
            if data[start:end] < key:
                low = end + 1
            else:
                high = start
        return None


def build(version: str, protocols: Iterable[bytes], fields: Iterable[bytes], values: Iterable[bytes]) -> bytes:
    """The file, from what the three `-G` questions answered, line by line."""
    names: dict[str, bytes] = {}
    kinds: dict[str, set[str]] = {}
    for _, line in zip(range(_FIELDS), fields, strict=False):
        part = line.rstrip(b"\r\n").split(b"\t")
        if len(part) < 4 or part[0] != b"F":
            continue
        name = part[2].decode("ascii", "replace")
        names.setdefault(name, part[1][:_LONGEST])
        if name in allowed():
            kinds.setdefault(name, set()).add(part[3].decode("ascii", "replace"))
    missing = [name for name, shape in allowed().items() if not fits(shape, frozenset(kinds.get(name, ())))]
    said, ranges = _values(values)
    about = {
        "form": FORM,
        "version": version,
        "protocols": dict(_protocols(protocols)),
        "values": said,
        "ranges": ranges,
        "missing": missing,
    }
    body = sorted(name.encode() + b"\t" + label + b"\n" for name, label in names.items())
    return json.dumps(about, separators=(",", ":")).encode() + b"\n" + b"".join(body)


def _protocols(lines: Iterable[bytes]) -> Iterator[tuple[str, list[str]]]:
    for line in lines:
        part = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
        if len(part) >= 3:
            yield part[2], [part[0][:_LONGEST], part[1][:_LONGEST]]


def _values(lines: Iterable[bytes]) -> tuple[dict[str, dict[str, str]], dict[str, list[tuple[int, int, str]]]]:
    """Names of values of allowed fields: single ones (V, T) and ranges (R)."""
    single: dict[str, dict[str, str]] = {}
    ranges: dict[str, list[tuple[int, int, str]]] = {}
    wanted = {name.encode() for name in allowed()}
    count = 0
    for line in lines:
        part = line.rstrip(b"\r\n").split(b"\t")
        if len(part) < 4 or part[1] not in wanted or count > _VALUES:
            continue
        count += 1
        name = part[1].decode()
        text: list[Any] = [one.decode("utf-8", "replace")[:_LONGEST] for one in part]
        try:
            match text[0]:
                case "V":
                    single.setdefault(name, {})[str(int(text[2], 0))] = text[3]  # registered twice: the newer protocol is last
                case "T":
                    single.setdefault(name, {}).update({"1": text[2], "0": text[3]})
                case "R" if len(text) > 4:
                    ranges.setdefault(name, []).append((int(text[2], 0), int(text[3], 0), text[4]))
        except ValueError:
            continue
    return single, ranges
