"""The kernels of SMB against a plain reader of one flow: the same rows, whatever comes in whatever pieces."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application import dcerpc_wire as rpc
from tests.decode.application import login_wire as login
from tests.decode.application import smb_reference
from tests.decode.application import smb_wire as smb
from tests.decode.application.batches import Said, rows_of
from tests.decode.application.mutations import mutated
from tests.decode.application.smb_batch import rows_of as rows_read
from tests.decode.application.test_smb import CREATED, OPENED, VALID
from workbench.decode.application import smb_reader, smb_rows
from workbench.decode.application.protocol import MOST_WAITING, Context, Malformed, Message, Row

CONTEXT = Context("tcp", 50000, 445, login.hashed)
HANDLES = (smb.HANDLE, b"\xff" * 16, b"other" * 3 + b"!")
SHARES = ("\\\\fs1\\IPC$", "\\\\fs1\\data", "\\\\fs1\\ipc$")
COMMANDS = (smb.NEGOTIATE, smb.TREE, smb.UNTREE, smb.CREATE, smb.CLOSE, smb.READ, smb.WRITE, smb.IOCTL, 13, 14, 99)
PIPES = ("svcctl", "\\PIPE\\samr", "plans.txt", "pipe\\Winreg", "\\\\", "")


@st.composite
def command(draw: st.DrawFn) -> tuple[int, bytes, int, dict[str, int]]:
    """A command as a client or a server sends it: command, body, number, other fields."""
    kind = draw(st.sampled_from(COMMANDS))
    handle, number = draw(st.sampled_from(HANDLES)), draw(st.integers(0, 3))
    more = {
        "tree": draw(st.integers(4, 5)),
        "session": draw(st.integers(8, 9)),
        "flags": draw(st.sampled_from([0, 0, smb.SIGNED])),
    }
    if draw(st.booleans()):
        more["flags"] |= draw(st.sampled_from([smb.RESPONSE, smb.RESPONSE, smb.RESPONSE | smb.ASYNC]))
        more["status"] = draw(st.sampled_from([0, 0, 0, smb.PENDING, smb.DENIED, 0x80000005]))
        body = {
            smb.NEGOTIATE: smb.negotiated(draw(st.sampled_from([0x0202, 0x0311, 0x02FF]))),
            smb.CREATE: smb.created(handle),
            smb.READ: smb.was_read(rpc.bound(0)),
            smb.IOCTL: smb.ioctl_done(rpc.response(b"\0" * 24, call=2)),
        }.get(kind, b"\x10\0" + b"\0" * 14)
    else:
        pieces = (rpc.bind((0, rpc.SVCCTL, 2)), rpc.request(12, b"n" * 80, call=2), b"text")
        body = {
            smb.TREE: smb.tree(draw(st.sampled_from(SHARES))),
            smb.CREATE: smb.create(draw(st.sampled_from(PIPES))),
            smb.CLOSE: smb.close(handle),
            smb.READ: smb.read(handle),
            smb.WRITE: smb.write(draw(st.sampled_from(pieces)), handle),
            smb.IOCTL: smb.ioctl(draw(st.sampled_from(pieces)), draw(st.sampled_from([smb.TRANSCEIVE, 7])), handle),
            14: b"\x21\0" + b"\0" * 6 + handle,
        }.get(kind, b"\x24\0" + b"\0" * 34)
    return kind, body, number, more


@st.composite
def packet(draw: st.DrawFn) -> bytes:
    """One message: a command, or several of which the later ones may be related to the first."""
    parts = draw(st.lists(command(), min_size=1, max_size=draw(st.sampled_from([1, 1, 3]))))
    made = b""
    for place, (kind, body, number, more) in enumerate(parts):
        last = place == len(parts) - 1
        body += b"\0" * (0 if last else -len(body) % 8)
        flags = more["flags"] | (draw(st.sampled_from([0, smb.RELATED])) if place else 0)
        made += smb.two(kind, body, number, **{**more, "flags": flags}, next_=0 if last else 64 + len(body))
    return smb.packet(made)


def dialogues(one: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[tuple[int, bytes]]]:
    """Messages of three flows."""
    return st.lists(st.tuples(st.integers(0, 2), one), max_size=40)


def sorted_rows(rows: Sequence[Row]) -> Counter[tuple[Any, ...]]:
    """Rows without their order; `smb` and `dcerpc` by what was counted, since overflowing tallies may part elsewhere."""
    return Counter((table, *sorted((name, value) for name, value in row.items() if value is not None)) for table, row in rows)


def by_reference(said: Sequence[tuple[int, bytes]]) -> tuple[list[Row], int]:
    """Rows with n, and how many messages were malformed."""
    flows: dict[int, smb_reference.SmbReader] = {}
    rows: list[tuple[int, Row]] = []
    malformed = 0
    for ms, (n, data) in enumerate(said):
        flow = flows.setdefault(n, smb_reference.SmbReader(CONTEXT))
        try:
            rows += [(n, row) for row in flow.message(Message(1000 * ms, 0, data, len(data)))]
        except Malformed:
            malformed += 1
    rows += [(n, row) for n, flow in flows.items() for row in flow.end()]
    return [(table, {"n": n, **row}) for n, (table, row) in rows], malformed


def by_kernels(said: Sequence[tuple[int, bytes]], pieces: int) -> tuple[list[Row], int]:
    """The same by the batch reader, in so many calls."""
    reader = smb_reader.SmbReader(CONTEXT)
    messages = [Said(n, ms, 0, 0, data) for ms, (n, data) in enumerate(said)]
    step = len(messages) // pieces + 1
    rows: list[Row] = []
    malformed = 0
    for start in range(0, max(1, len(messages)), step):
        last = start + step >= len(messages)
        read = reader.read(*rows_of(messages[start : start + step]), np.array([0, 1, 2] if last else [5], np.int64))
        rows += rows_read(read)
        malformed += read.malformed
    assert not reader._connections
    assert reader._p[smb_rows.HELD] == reader._p[smb_rows.FLOWS] == 0
    return rows, malformed


def agree(said: Sequence[tuple[int, bytes]], pieces: int = 1) -> None:
    wanted, bad = by_reference(said)
    got, malformed = by_kernels(said, pieces)
    assert sorted_rows(got) == sorted_rows(wanted)
    assert malformed == bad


@given(dialogues(packet()), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_what_clients_and_servers_say(said: list[tuple[int, bytes]], pieces: int) -> None:
    agree(said, pieces)


@given(dialogues(st.one_of(packet(), st.sampled_from(VALID))), st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_logins_and_smb1_between(said: list[tuple[int, bytes]], pieces: int) -> None:
    agree(said, pieces)


@given(mutated([smb.ask(smb.TREE, smb.tree(SHARES[1]), 3), *OPENED[:2], *OPENED[6:], *CREATED]))
@settings(max_examples=150, deadline=None)
def test_damaged_messages_are_damaged_for_both(said: list[Any]) -> None:
    agree([(side, data) for side, data, *_ in said])


def test_requests_that_wait_are_bounded() -> None:
    said = [(0, smb.ask(13, b"\4\0", n)) for n in range(MOST_WAITING + 10)]
    said += [(0, smb.tell(13, b"\4\0", n, smb.DENIED)) for n in range(MOST_WAITING + 10)]
    agree(said)
    found = [row["count"] for _, row in by_kernels(said, 3)[0] if row["status"] is None]
    assert sum(found) == 10


def test_trees_pipes_and_kinds_are_bounded() -> None:
    said = list(one_flow(smb.ask(smb.TREE, smb.tree(SHARES[0]), 1, tree=0), smb.tell(smb.TREE, b"\x10\0", 1)))
    for n in range(300):
        said += one_flow(smb.ask(smb.TREE, smb.tree(f"\\\\a\\{n}"), 2, tree=0), smb.tell(smb.TREE, b"\x10\0", 2, tree=100 + n))
    for n in range(70):
        said += one_flow(smb.ask(smb.CREATE, smb.create("samr"), 3), smb.tell(smb.CREATE, smb.created(b"h%015d" % n), 3))
    for n in (0, 43, 44, 45, 299):
        said += one_flow(smb.ask(13, b"", 4, tree=100 + n), smb.tell(13, b"", 4, tree=100 + n))
    for n in (0, 5, 6, 69):
        said += one_flow(smb.ask(smb.READ, smb.read(b"h%015d" % n), 5))
    for status in range(600):
        said += one_flow(smb.tell(13, b"", 6, 0xC0000000 + status))
    wanted, _ = by_reference(said)
    got, _ = by_kernels(said, 4)

    def summed(rows: list[Row]) -> Counter[tuple[Any, ...]]:
        kinds: Counter[tuple[Any, ...]] = Counter()
        for _, row in rows:
            kinds[row["command"], row["share"], row["pipe"], row["status"]] += row["count"]
        return kinds

    assert summed(got) == summed(wanted)


def one_flow(*said: bytes) -> list[tuple[int, bytes]]:
    return [(0, data) for data in said]


def test_where_there_is_no_room_the_oldest_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smb_rows, "MOST_ROWS", 1_500)
    said = [(n, data) for n in range(400) for data in (smb.ask(smb.TREE, smb.tree(f"\\\\fs\\{n}"), 1), smb.ask(13, b"", 2))]
    said += [(n, smb.tell(smb.TREE, b"\x10\0", 1, tree=n)) for n in range(400)]
    reader = smb_reader.SmbReader(CONTEXT)
    messages = [Said(n, ms, 0, 0, data) for ms, (n, data) in enumerate(said)]
    rows = rows_read(reader.read(*rows_of(messages), np.arange(0)))
    assert rows
    rows += rows_read(reader.read(*rows_of([]), np.arange(400)))
    counts: Counter[str] = Counter()
    for _, row in rows:
        counts[row["command"]] += row["count"]
        assert row["command"] != "TREE_CONNECT" or row["share"] in (f"\\\\fs\\{row['n']}", None)
    assert counts["ECHO"] == 400
    assert 400 <= counts["TREE_CONNECT"] <= 800  # the answer to a request that was told before is counted once more
    assert reader._p[smb_rows.HELD] == 0


def test_names_that_nobody_holds_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smb_reader, "_MANY_NAMES", 4)
    reader = smb_reader.SmbReader(CONTEXT)
    for n in range(60):
        said = [smb.ask(smb.TREE, smb.tree(f"\\\\fs\\{n % 20}"), 1), smb.tell(smb.TREE, b"\x10\0", 1, tree=n)]
        messages = [Said(n % 3, n, 0, 0, data) for data in said]
        reader.read(*rows_of(messages), np.array([n % 3] if n < 50 else [], np.int64))
        assert reader._p[smb_rows.NAMES] <= 12
    late = [(n, smb.ask(13, b"", 9, tree=n)) for n in range(57, 60)] + [(n, smb.tell(13, b"", 9, tree=n)) for n in range(57, 60)]
    rows = rows_read(reader.read(*rows_of([Said(n % 3, n, 0, 0, data) for n, data in late]), np.arange(3)))
    found = {(row["n"], row["share"]) for _, row in rows if row["command"] == "ECHO"}
    assert found == {(n % 3, f"\\\\fs\\{n % 20}") for n in range(57, 60)}


def test_rows_that_point_nowhere_are_passed_over() -> None:
    rows, arena = rows_of([Said(0, n, 0, 0, smb.ask(13, b"", n)) for n in range(3)])
    rows["at"][:2] = -1, 1 << 40
    read = smb_reader.SmbReader(CONTEXT).read(rows, arena, np.array([0]))
    assert read.seen is not None
    assert read.seen.tolist() == [0, 0, 1]
    assert [row["count"] for _, row in rows_read(read)] == [1]


def test_a_fault_in_one_token_costs_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("workbench.decode.application.logins.unwrap", fails)
    said = [Said(0, n, 0, 0, data) for n, data in enumerate(OPENED)]
    read = smb_reader.SmbReader(CONTEXT).read(*rows_of(said), np.array([0]))
    assert read.malformed == 4
    assert sum(row["count"] for table, row in rows_read(read) if table == "smb") == len(OPENED) // 2


def test_lengths_at_the_edges_of_what_is_there() -> None:
    for said in (OPENED + CREATED)[:]:
        for size in {*range(0, min(len(said), 160), 3), len(said) - 1}:
            agree([(0, said[:size]), (0, said)])
    agree([(0, smb.packet(smb.two(smb.WRITE, b"\x31\0" + struct.pack("<HI", 0xFFFF, 0xFFFFFFFF) + b"\0" * 40, 1)))])
