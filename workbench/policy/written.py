"""A policy as text that `loader.load` reads back equal, with notes as comment lines.

Plain words stand plainly, everything else in double quotes with escapes: nothing that a name says can end a value, a line or a
comment. What is as by default is left out, apart from the default verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from workbench.policy.model import Policy
from workbench.records.visible import visible

#: Where a list or mapping no longer fits one line.
WIDTH: Final = 120

#: Longer keys stand behind `?`: YAML knows a key without it only within 1,024 characters.
_LONG_KEY: Final = 200

#: Keys of which one value may stand without a list around it.
_SEVERAL: Final = frozenset(
    (
        "from",
        "to",
        "services",
        "cidr",
        "namespace",
        "kind",
        "mac",
        "vni",
        "network",
        "union",
        "intersection",
        "except",
        "internal",
    )
)
_PLAIN: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9_./-]*|[0-9]+(?:\.[0-9]+){3}(?:/[0-9]+)?|[1-9][0-9]*[smhdw])\Z")

#: What some reader of YAML takes for something else than text (YAML 1.1's words, in any case).
_WORDS: Final = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"))
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def text_of(policy: Policy, notes: Mapping[str, Sequence[str]] | None = None) -> str:
    """The policy as YAML. notes: by name of a rule, comment lines to stand before it; those of '' stand first of all."""
    notes = notes or {}
    said: dict[str, Any] = policy.model_dump(by_alias=True, exclude_defaults=True)
    for group in said.get("groups", {}).values():
        _plain_labels(group)
    said["defaults"] = {"east_west": policy.defaults.east_west}
    lines = [*_comments(notes.get("", ()), "")]
    for key, value in said.items():
        if key == "rules":
            lines.append("rules:")
            for rule in value:
                lines += _comments(notes.get(rule["name"], ()), "  ")
                lines += _item(rule, "  ")
        elif key == "groups":
            lines.append("groups:")
            for name, group in value.items():
                lines += _pair(name, group, "  ")
        else:
            lines += _pair(key, value, "")
    return "\n".join(lines) + "\n"


def scalar(value: Any) -> str:
    """One text, number or truth as YAML writes it, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\x{ord(char):02X}" if ord(char) < 256 else f"\\U{ord(char):08X}"


def _comments(lines: Sequence[str], indent: str) -> Iterator[str]:
    """Each as one line, whatever is in it."""
    return (f"{indent}# {visible(line)}".rstrip() for line in lines)


def _plain_labels(group: dict[str, Any]) -> None:
    """`labels: {app: train}` where labels that must be equal are all that is said."""
    labels = group.get("labels")
    if labels and set(labels) == {"matchLabels"}:
        group["labels"] = labels["matchLabels"]


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(str(key))}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar(value)


def _pair(key: str, value: Any, indent: str) -> Iterator[str]:
    """A key and its value: on one line where it fits, else below it."""
    if key in _SEVERAL and isinstance(value, list) and len(value) == 1:
        value = value[0]
    written = scalar(key)
    if len(written) > _LONG_KEY:
        yield f"{indent}? {written}"
        written = ""
    if not isinstance(value, dict | list) or (_fits_line(value) and len(indent + written) + 2 + len(_flow(value)) <= WIDTH):
        yield f"{indent}{written}: {_flow(value)}"
        return
    yield f"{indent}{written}:"
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _pair(name, one, indent + "  ")
    else:
        for one in value:
            yield from _item(one, indent + "  ")


def _fits_line(value: Any) -> bool:
    """No long keys, and no lists of mappings: those are for people to read below each other."""
    if isinstance(value, dict):
        return all(len(scalar(str(key))) <= _LONG_KEY and _fits_line(one) for key, one in value.items())
    return not isinstance(value, list) or not any(isinstance(one, dict) for one in value)


def _item(value: Any, indent: str) -> Iterator[str]:
    """One of a list: on one line where it fits."""
    if not isinstance(value, dict) or (len(indent) + 2 + len(_flow(value)) <= WIDTH and _fits_line(value)):
        yield f"{indent}- {_flow(value)}"
        return
    lead = f"{indent}- "
    for key, one in value.items():
        below = list(_pair(key, one, indent + "  "))
        below[0] = lead + below[0][len(indent) + 2 :]
        yield from below
        lead = indent + "  "
