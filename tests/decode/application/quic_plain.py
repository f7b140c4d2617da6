"""Headers and frames of QUIC read one after the other in plain Python (RFC 9000, 17.2, 19), to compare the kernels with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.decode.application.quic_packets import INITIAL, RETRY, V2, salt


class Lie(Exception):  # noqa: N818
    """Lengths contradict each other."""


@dataclass(frozen=True)
class Header:
    version: int
    kind: int
    dcid: bytes
    start: int
    number_at: int
    end: int


def varint(data: bytes, at: int) -> tuple[int, int]:
    width = 1 << (data[at] >> 6) if at < len(data) else 1
    if at + width > len(data):
        raise Lie
    return int.from_bytes(data[at : at + width], "big") & ((1 << 8 * width - 2) - 1), at + width


def headers(data: bytes) -> Iterator[Header]:
    """The long headers of a datagram."""
    at = 0
    while at + 7 <= len(data) and data[at] & 0xC0 == 0xC0:
        version = int.from_bytes(data[at + 1 : at + 5], "big")
        if salt(version) is None:
            return
        kind = data[at] >> 4 & 3
        kind = (kind - 1) & 3 if version == V2 else kind
        ids: list[bytes] = []
        walk = at + 5
        for _ in range(2):
            if walk >= len(data) or data[walk] > 20 or walk + 1 + data[walk] > len(data):
                raise Lie
            ids.append(data[walk + 1 : walk + 1 + data[walk]])
            walk += 1 + data[walk]
        if kind == RETRY:
            return
        if kind == INITIAL:
            token, walk = varint(data, walk)
            walk += token
        length, walk = varint(data, walk)
        if walk + length > len(data):
            raise Lie
        yield Header(version, kind, ids[0], at, walk, walk + length)
        at = walk + length


def frames(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """CRYPTO frames: (offset, bytes)."""
    at = 0
    for _ in range(512):
        while at < len(payload) and payload[at] == 0:
            at += 1
        if at >= len(payload):
            return
        kind, at = payload[at], at + 1
        if kind == 6:
            offset, at = varint(payload, at)
            size, at = varint(payload, at)
            if at + size > len(payload):
                raise Lie
            yield offset, payload[at : at + size]
            at += size
        elif kind in (2, 3):
            for _ in range(2):
                _, at = varint(payload, at)
            ranges, at = varint(payload, at)
            for _ in range(1 + 2 * ranges + (3 if kind == 3 else 0)):
                _, at = varint(payload, at)
        elif kind != 1:
            return


def hello(payloads: list[bytes]) -> tuple[bytes, list[int]]:
    """The hello that payloads make, empty while it is not whole; which of them lie, up to there."""
    pieces: dict[int, bytes] = {}
    held, lies = 0, []
    for place, payload in enumerate(payloads):
        try:
            for offset, data in frames(payload):
                fits = offset + len(data) <= 16_384 and len(pieces) < 128 and held + len(data) <= 32_768
                if not fits or len(pieces.get(offset, b"")) >= len(data):
                    continue
                held += len(data)
                pieces[offset] = data
                joined = b""
                for start in sorted(pieces):
                    if start > len(joined):
                        break
                    joined += pieces[start][len(joined) - start :]
                if len(joined) >= 4 and joined[0] == 1 and len(joined) >= 4 + int.from_bytes(joined[1:4], "big"):
                    return joined[: 4 + int.from_bytes(joined[1:4], "big")], lies
        except Lie:
            lies.append(place)
    return b"", lies
