"""Messages as a reader of one flow gets them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from workbench.decode.application.protocol import Context, Malformed, Message, Protocol, Row

#: side, bytes; and where more were on the wire, how many.
Said = tuple[int, bytes] | tuple[int, bytes, int]


def context(transport: str = "tcp", src_port: int = 40000, dst_port: int = 0) -> Context:
    """A context whose hashes can be told from what they hash."""
    return Context(transport, src_port, dst_port, lambda value: f"#{value!r}")  # type: ignore[arg-type]


def messages(said: Iterable[Said]) -> list[Message]:
    """One a millisecond, numbered by side."""
    made: list[Message] = []
    counts = [0, 0]
    for ms, (side, data, *whole) in enumerate(said):
        made.append(Message(1000 * ms, side, data, whole[0] if whole else len(data), counts[side]))
        counts[side] += 1
    return made


def feed(protocol: Protocol, said: Sequence[Said], given: Context | None = None, end: bool = True) -> list[dict[str, Any]]:
    """The rows that one reader makes of them; Malformed passes."""
    assert protocol.reader
    reader = protocol.reader(given or context(dst_port=protocol.ports[0] if protocol.ports else 0))
    rows: list[Row] = []
    for message in messages(said):
        rows.extend(reader.message(message))
    if end:
        rows.extend(reader.end())
    return [row for _, row in rows]


def survive(protocol: Protocol, said: Sequence[Said], given: Context | None = None) -> int:
    """How many messages were Malformed; whatever else is raised passes."""
    assert protocol.reader
    reader = protocol.reader(given or context(dst_port=protocol.ports[0] if protocol.ports else 0))
    malformed = 0
    for message in messages(said):
        try:
            list(reader.message(message))
        except Malformed:
            malformed += 1
    list(reader.end())
    return malformed
