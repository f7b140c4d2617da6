"""The tree of RFC 6962 against its plain recursive definition, and proofs that only hold for what they are about."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.audit import merkle

LINES = st.lists(st.binary(max_size=8), max_size=40)


def root_of(lines: list[bytes]) -> bytes:
    """MTH of section 2.1."""
    if not lines:
        return hashlib.sha256(b"").digest()
    if len(lines) == 1:
        return hashlib.sha256(b"\x00" + lines[0]).digest()
    k = 1 << (len(lines) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root_of(lines[:k]) + root_of(lines[k:])).digest()


def path_of(lines: list[bytes], m: int) -> list[str]:
    """PATH of section 2.1.1."""
    if len(lines) < 2:
        return []
    k = 1 << (len(lines) - 1).bit_length() - 1
    if m < k:
        return [*path_of(lines[:k], m), root_of(lines[k:]).hex()]
    return [*path_of(lines[k:], m - k), root_of(lines[:k]).hex()]


@given(LINES)
def test_roots_and_paths_are_those_of_the_definition(lines: list[bytes]) -> None:
    leaves = [merkle.leaf(line) for line in lines]
    found = merkle.roots(leaves, range(len(lines) + 5))
    assert found == {n: root_of(lines[:n]).hex() for n in range(len(lines) + 1)}
    for n, line in enumerate(lines):
        path = merkle.path(leaves, n)
        assert path == path_of(lines, n)
        assert merkle.holds(line, n, len(lines), path, found[len(lines)])


def test_known_roots() -> None:
    """Vectors of RFC 6962 as its implementations publish them: the empty tree, and one empty leaf."""
    assert merkle.roots([], [0])[0] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.roots([merkle.leaf(b"")], [1])[1] == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@given(st.lists(st.binary(min_size=1, max_size=4), min_size=2, max_size=20, unique=True), st.data())
def test_a_proof_holds_for_nothing_else(lines: list[bytes], data: st.DataObject) -> None:
    leaves = [merkle.leaf(line) for line in lines]
    size, n = len(lines), data.draw(st.integers(0, len(lines) - 1))
    path, root = merkle.path(leaves, n), merkle.roots(leaves, [size])[size]
    other = data.draw(st.integers(-2, size + 2).filter(lambda m: m != n))
    assert not merkle.holds(lines[n] + b"x", n, size, path, root)
    assert not merkle.holds(lines[n], other, size, path, root)
    assert not merkle.holds(lines[n], n, size, path[:-1], root)
    assert not merkle.holds(lines[n], n, size, [*path, "00" * 32], root)
    assert not merkle.holds(lines[n], n, size, ["zz", *path[1:]], root)
    assert not merkle.holds(lines[n], n, size, path, "00" * 32)


def test_there_is_no_path_to_what_is_not_there() -> None:
    with pytest.raises(IndexError):
        merkle.path([], 0)
