"""Merkle trees of RFC 6962, section 2.1: one hash for all lines of a log, and proofs that a line is among them.

A leaf is a line of the log without its line feed. With a root that was noted down earlier, one line and a short path of hashes
show that the line was there, without showing the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence


def leaf(line: bytes) -> bytes:
    """The hash of a leaf: no node's, since those begin otherwise."""
    return hashlib.sha256(b"\x00" + line).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots(leaves: Iterable[bytes], sizes: Collection[int]) -> dict[int, str]:
    """The roots (hexadecimal) of the first so many leaves, for each of these sizes that is reached; in one pass."""
    wanted = set(sizes)
    out = {0: hashlib.sha256(b"").hexdigest()} if 0 in wanted else {}
    whole: list[tuple[int, bytes]] = []  # complete trees, the largest first
    for count, one in enumerate(leaves, 1):
        size = 1
        while whole and whole[-1][0] == size:
            one = _node(whole.pop()[1], one)
            size *= 2
        whole.append((size, one))
        if count in wanted:
            top = whole[-1][1]
            for _, left in reversed(whole[:-1]):
                top = _node(left, top)
            out[count] = top.hex()
    return out


def path(leaves: Sequence[bytes], place: int) -> list[str]:
    """The hashes beside the way from a leaf (from 0) to the root, nearest first, hexadecimal. IndexError where it has none."""
    if not 0 <= place < len(leaves):
        raise IndexError(f"no leaf {place} of {len(leaves)}")
    out: list[str] = []
    level = list(leaves)
    while len(level) > 1:
        if place ^ 1 < len(level):
            out.append(level[place ^ 1].hex())
        pairs = [_node(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) & ~1 :]  # an odd one goes up as it is
        place //= 2
    return out


def holds(line: bytes, place: int, size: int, beside: Sequence[str], root: str) -> bool:
    """Whether the line is leaf `place` (from 0) of the tree of so many leaves with that root (RFC 9162, 2.1.3.2)."""
    if not 0 <= place < size:
        return False
    try:
        hashes = [bytes.fromhex(one) for one in beside]
    except ValueError:
        return False
    found, at, last = leaf(line), place, size - 1
    for one in hashes:
        if len(one) != hashlib.sha256().digest_size or last == 0:
            return False
        if at & 1 or at == last:
            found = _node(one, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, one)
        at, last = at >> 1, last >> 1
    return last == 0 and found.hex() == root
