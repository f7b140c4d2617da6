from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application import batches
from tests.decode.application.feeding import Said
from tests.decode.application.mutations import mutated
from workbench.decode.application import ntp_reader
from workbench.decode.application.ntp import PROTOCOL
from workbench.decode.application.protocol import Context
from workbench.records.columns import BY_NAME


def packet(mode: int, version: int = 4, stratum: int = 0, reference: bytes = bytes(4), origin: int = 0, sent: int = 0) -> bytes:
    head = bytes([version << 3 | mode, stratum, 6, 0xEC]) + bytes(8) + reference
    return head + struct.pack(">QQQQ", 0, origin, 0, sent)


def control(opcode: int, response: int = 0, sequence: int = 1, version: int = 2) -> bytes:
    return struct.pack(">BBHHHHH", version << 3 | 6, response << 7 | opcode, sequence, 0, 0, 0, 0)


def private(request: int, response: int = 0) -> bytes:
    return bytes([response << 7 | 2 << 3 | 7, 0, 3, request]) + bytes(4)


def lines(said: Iterable[Said], n: int = 1) -> list[batches.Said]:
    """One message a millisecond."""
    return [batches.Said(n, ms, side, ms, data) for ms, (side, data, *_) in enumerate(said)]


def rows(*said: Said) -> list[dict[str, Any]]:
    """The rows of one flow, in the order in which they began."""
    assert PROTOCOL.batch
    read = batches.read(PROTOCOL.batch(Context()), lines(said), [1])
    assert read.malformed == 0
    found = sorted(batches.rows(read, "ntp"), key=lambda row: row["ts"])
    assert all(row.pop("n") == 1 and set(row) <= set(BY_NAME["ntp"].names) for row in found)
    return found


def malformed(*said: Said) -> int:
    return batches.read(ntp_reader.NtpReader(), lines(said), [1]).malformed


def test_a_client_and_its_server() -> None:
    ask, tell = packet(3, sent=77), packet(4, stratum=2, reference=b"\xc0\0\2\5", origin=77)
    client, server = rows((0, ask), (1, packet(4, origin=76)), (1, tell), (0, ask), (1, tell))
    assert client == {
        "ts": 0, "version": "4", "mode": "client", "request": None, "count": 2, "answers": 0, "stratum": 0, "reference": None,
        "rtt_us": 2000,
    }  # fmt: skip
    assert (server["mode"], server["count"], server["answers"], server["stratum"]) == ("server", 3, 3, 2)
    assert server["reference"] == "192.0.2.5"


@pytest.mark.parametrize(
    ("data", "mode", "version", "stratum", "reference"),
    [
        (packet(1, 3, 1, b"GPS\0"), "symmetric", "3", 1, "GPS"),
        (packet(2, 4, 16), "symmetric", "4", 16, None),
        (packet(5, 4, 0, b"RATE"), "broadcast", "4", 0, "RATE"),
        (packet(4, 1, 1, b"\xff\0\0\0"), "server", "1", 1, "\\xff"),
        (packet(4) + bytes(20), "server", "4", 0, None),  # with a key's digest
    ],
)
def test_modes(data: bytes, mode: str, version: str, stratum: int, reference: str | None) -> None:
    (row,) = rows((0, data))
    assert (row["mode"], row["version"], row["stratum"], row["reference"]) == (mode, version, stratum, reference)


def test_monlist_is_named_and_its_answers_counted() -> None:
    (row,) = rows((0, private(42)), *[(1, private(42, 1))] * 5, (0, private(20)))
    assert (row["mode"], row["request"], row["count"], row["answers"], row["rtt_us"]) == ("private", "monlist", 7, 5, 1000)
    assert [row["request"] for row in rows((0, private(2)), (0, private(99)))] == ["peer_info", "request_99"]


def test_control_messages_are_answered_by_sequence_number() -> None:
    (row,) = rows((0, control(2, sequence=5)), (1, control(2, 1, 4)), (1, control(2, 1, 5)))
    assert (row["mode"], row["request"], row["version"], row["count"], row["answers"]) == ("control", "readvar", "2", 3, 2)
    assert row["rtt_us"] == 2000
    assert row["stratum"] is None
    assert rows((0, control(30)))[0]["request"] == "opcode_30"


def test_a_flow_of_every_request_has_a_row_of_each() -> None:
    found = rows(*[(0, private(k)) for k in range(256)], *[(0, control(k)) for k in range(32)])
    assert sum(row["count"] for row in found) == len(found) + 1 == 288  # monlist has two numbers


def test_rows_are_bounded_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntp_reader, "MOST_ROWS", 3)
    reader = ntp_reader.NtpReader()
    said = [one for n in range(4) for one in lines([(0, packet(3)), (1, packet(4))], n)]
    assert [row["n"] for row in batches.rows(batches.read(reader, said), "ntp")] == [0, 0, 1, 1, 2, 2]
    assert [row["n"] for row in batches.rows(batches.read(reader, []), "ntp")] == [3, 3]  # the source is over


@pytest.mark.parametrize("data", [b"", packet(3)[:47], packet(0), packet(3, 0), packet(3, 5), control(2)[:11], private(42)[:3]])
def test_what_is_not_ntp_is_refused(data: bytes) -> None:
    assert malformed((0, data)) == 1
    seen = batches.read(ntp_reader.NtpReader(), lines([(0, data), (0, packet(3))])).seen
    assert seen is not None
    assert seen.tolist() == [0, 1]


def summed(said: Iterable[Said]) -> list[tuple[object, ...]]:
    """Version, mode, request code, first time, count, answers and time to the answer, one message after the other."""
    sums: dict[tuple[int, int, int], list[Any]] = {}
    asked: tuple[bytes, int, list[Any]] | None = None
    for ms, (_, data, *_) in enumerate(said):
        mode = data[0] & 7
        code = data[1] & 31 if mode == 6 else data[3] if mode == 7 else 0
        answer = data[1] > 127 if mode == 6 else data[0] > 127 if mode == 7 else mode == 4
        row = sums.setdefault((data[0] >> 3 & 7, mode, code), [1000 * ms, 0, 0, None])
        row[1] += 1
        row[2] += answer
        repeats = data[2:4] if mode == 6 else data[3:4] if mode == 7 else data[24:32] if answer else data[40:48]
        if not answer and row[3] is None and (asked is None or asked[2] is not row):
            asked = repeats, 1000 * ms, row
        elif answer and asked is not None and repeats == asked[0]:
            asked[2][3] = 1000 * ms - asked[1]
            asked = None
    return [(version, mode, code, *row) for (version, mode, code), row in sums.items()]


SAID = st.one_of(
    st.builds(lambda mode, at: packet(mode, origin=at, sent=at), st.sampled_from([1, 3, 4, 5]), st.integers(0, 3)),
    st.builds(control, st.integers(1, 3), st.integers(0, 1), st.integers(1, 2)),
    st.builds(private, st.sampled_from([3, 42]), st.integers(0, 1)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SAID, min_size=1, max_size=25), st.lists(st.integers(0, 25)))
def test_sums_are_those_of_one_message_after_the_other(data: list[bytes], cuts: list[int]) -> None:
    said: list[Said] = [(0, one) for one in data]
    reader, at = ntp_reader.NtpReader(), 0
    for cut in sorted({*cuts, len(said)}):
        batches.read(reader, lines(said)[at:cut], [99])
        at = max(at, cut)
    found = batches.rows(batches.read(reader, [], [1]), "ntp")
    modes = ("", "symmetric", "", "client", "server", "broadcast", "control", "private")
    wanted = [(str(version), modes[mode], ntp_reader._request(mode, code), *rest) for version, mode, code, *rest in summed(said)]
    names = ("version", "mode", "request", "ts", "count", "answers", "rtt_us")
    assert sorted(map(str, (tuple(row[name] for name in names) for row in found))) == sorted(map(str, wanted))


@settings(max_examples=80, deadline=None)
@given(mutated([packet(3, sent=7), packet(4, stratum=1, reference=b"PPS\0", origin=7), control(2), control(2, 1), private(42)]))
def test_nothing_but_malformed_comes_of_any_bytes(said: list[Said]) -> None:
    assert malformed(*said) <= len(said)


def test_bytes_that_are_not_there_are_not_read() -> None:
    given, arena = batches.rows_of(lines([(0, packet(3))]))
    given["at"] = 10**9
    assert ntp_reader.NtpReader().read(given, arena, given["n"].copy()).tables == {}
