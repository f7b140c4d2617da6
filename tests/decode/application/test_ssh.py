from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application import batches
from tests.decode.application.feeding import Said
from tests.decode.application.mutations import mutated
from tests.decode.application.ssh_wire import kexinit, packet
from workbench.decode.application import ssh_reader
from workbench.decode.application.protocol import Context
from workbench.decode.application.ssh import PROTOCOL
from workbench.records.columns import BY_NAME

CLIENT = [
    b"curve25519-sha256,ext-info-c",
    b"ssh-ed25519,rsa-sha2-512",
    b"aes128-ctr,aes256-ctr",
    b"aes256-ctr",
    b"hmac-sha1,hmac-sha2-256",
    b"hmac-sha2-256",
    b"none,zlib",
    b"none",
]
SERVER = [
    b"sntrup,curve25519-sha256",
    b"rsa-sha2-512",
    b"aes256-ctr,x",
    b"aes256-ctr,y",
    b"hmac-sha2-256",
    b"hmac-sha2-512",
    b"none",
    b"none",
]
HELLO: list[Said] = [
    (0, b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
    (1, b"SSH-2.0-dropbear\n"),
    (0, kexinit(CLIENT)),
    (1, kexinit(SERVER)),
    (0, packet(30, b"e" * 32)),
    (1, packet(31, b"f" * 64)),
    (0, packet(21)),
    (1, packet(21)),
]


def lines(said: Iterable[Said], n: int = 1) -> list[batches.Said]:
    """One message a millisecond."""
    return [batches.Said(n, ms, side, ms, data, whole[0] if whole else None) for ms, (side, data, *whole) in enumerate(said)]


def feed(said: Sequence[Said], ended: Iterable[int] = (1,)) -> list[dict[str, Any]]:
    """The rows made of one flow."""
    assert PROTOCOL.batch
    found = batches.rows(batches.read(PROTOCOL.batch(Context()), lines(said), ended), "ssh")
    for row in found:
        assert row.pop("n") == 1
    return found


def malformed(said: Sequence[Said]) -> int:
    assert PROTOCOL.batch
    return batches.read(PROTOCOL.batch(Context()), lines(said)).malformed


def sizes(*told: tuple[int, int]) -> list[Said]:
    return [(side, b"", size) for side, size in told]


def one(said: list[Said]) -> dict[str, Any]:
    [row] = feed(said)
    return row


def test_what_both_sides_say_in_the_clear() -> None:
    row = one(HELLO)
    assert row == {
        "ts": 0,
        "client": "SSH-2.0-OpenSSH_9.2p1 Debian",
        "server": "SSH-2.0-dropbear",
        "hassh": hashlib.md5(b";".join(CLIENT[i] for i in (0, 2, 4, 6))).hexdigest(),
        "hassh_server": hashlib.md5(b";".join(SERVER[i] for i in (0, 3, 5, 7))).hexdigest(),
        "kex": "curve25519-sha256",
        "host_key": "rsa-sha2-512",
        "cipher": "aes256-ctr",
        "mac": "hmac-sha2-256",
        "version": "2",
        "authenticated": None,
        "attempts": 0,
    }
    assert set(row) == set(BY_NAME["ssh"].names) - {"flow_id"}


def test_a_known_hassh() -> None:
    lists = [
        b"diffie-hellman-group14-sha1",
        b"ssh-rsa",
        b"aes128-cbc",
        b"aes128-cbc",
        b"hmac-sha1",
        b"hmac-sha1",
        b"none",
        b"none",
    ]
    expected = hashlib.md5(b"diffie-hellman-group14-sha1;aes128-cbc;hmac-sha1;none").hexdigest()
    assert one([(0, kexinit(lists))])["hassh"] == one([(1, kexinit(lists))])["hassh_server"] == expected


@pytest.mark.parametrize(
    ("told", "result", "attempts"),
    [
        ([(0, 48), (1, 64), (0, 80), (1, 48)], True, 1),  # without being asked for a password
        ([(1, 600), (0, 48), (1, 64), (0, 80), (1, 80), (0, 144), (1, 48)], True, 1),  # EXT_INFO first
        ([(0, 48), (1, 64), (0, 80), (1, 80), (0, 144), (1, 80)], False, 1),
        ([(0, 48), (1, 64), (0, 80), (1, 80), (0, 144), (1, 80), (0, 144), (1, 80), (0, 9), (1, 48)], True, 3),
        ([(0, 48), (1, 64), (0, 80), (1, 900), (1, 80), (0, 144), (1, 48)], True, 1),  # a banner
        ([(0, 48), (1, 64), (0, 80), (1, 80), (1, 1000)], None, 0),
        ([(0, 48)], None, 0),
        ([(1, 64), (1, 48)], None, 0),
        ([(0, 0), (1, 0)], None, 0),
    ],
)
def test_the_guess(told: list[tuple[int, int]], result: bool | None, attempts: int) -> None:
    row = one(HELLO + sizes(*told))
    assert (row["authenticated"], row["attempts"]) == (result, attempts)


def test_the_row_comes_as_soon_as_the_outcome_is_known() -> None:
    said = HELLO + sizes((0, 48), (1, 64), (0, 80), (1, 48))
    assert len(feed(said, ())) == 1
    assert len(feed(said + sizes((1, 48)))) == 1
    assert len(feed(HELLO + sizes((0, 48), *[(1, 64)] * 11), ())) == 0
    assert len(feed(HELLO + sizes((0, 48), *[(1, 64)] * 12), ())) == 1


def test_nothing_is_guessed_of_compressed_sizes() -> None:
    lists = [*SERVER[:6], b"zlib@openssh.com", b"zlib@openssh.com"]
    said: list[Said] = [(side, kexinit(lists) if data[5:6] == b"\x14" else data) for side, data, *_ in HELLO]
    row = one(said + sizes((0, 48), (1, 64), (0, 80), (1, 48)))
    assert (row["authenticated"], row["attempts"]) == (None, None)


def test_who_sends_kexdh_init_is_the_client() -> None:
    row = one([(1 - side, data) for side, data, *_ in HELLO])
    assert (row["client"], row["cipher"]) == ("SSH-2.0-OpenSSH_9.2p1 Debian", "aes256-ctr")
    assert row["hassh"] == one(HELLO)["hassh"]


@pytest.mark.parametrize(
    ("client", "server", "version"),
    [
        (b"SSH-1.5-1.2.26\n", b"SSH-1.5-x\n", "1"),
        (b"SSH-1.5-1.2.26\n", b"SSH-1.99-x\n", "1"),
        (b"SSH-2.0-x\n", b"SSH-1.99-x\n", "2"),
        (b"SSH-1.99-x\n", b"SSH-1.99-x\n", "2"),
        (b"SSH-1.5-x\n", b"SSH-2.0-x\n", None),
    ],
)
def test_versions(client: bytes, server: bytes, version: str | None) -> None:
    assert one([(0, client), (1, server)])["version"] == version


def test_one_side_only() -> None:
    row = one([HELLO[1], HELLO[3]])
    assert (row["client"], row["server"], row["kex"], row["hassh"]) == (None, "SSH-2.0-dropbear", None, None)
    assert row["hassh_server"]
    assert feed([]) == feed([(0, packet(21))]) == []


def test_the_first_banner_and_key_exchange_count() -> None:
    assert one([*HELLO, (0, b"SSH-2.0-later\n"), (0, kexinit(SERVER))])["client"] == "SSH-2.0-OpenSSH_9.2p1 Debian"


def test_a_cut_key_exchange_says_what_is_there() -> None:
    cut = kexinit(CLIENT)[:120]
    row = one([(0, cut, 900), (1, kexinit(SERVER))])
    assert (row["kex"], row["hassh"], row["mac"]) == ("curve25519-sha256", None, None)


@pytest.mark.parametrize("data", [b"\0\0\0\x0c\x0a", kexinit(CLIENT)[:120]])
def test_malformed(data: bytes) -> None:
    assert malformed([(0, data)]) == 1
    assert feed([(0, data)]) == []
    assert malformed([HELLO[2], (0, data)]) == (len(data) == 5)  # only the first key exchange is looked into


def test_who_is_first_to_show_that_it_is_ssh_is_seen() -> None:
    seen = batches.read(ssh_reader.SshReader(), [*lines(HELLO), *lines([(1, packet(21))], n=2)]).seen
    assert seen is not None
    assert seen.tolist() == [1] + [0] * len(HELLO)


def test_connections_are_told_at_the_latest_when_the_source_ends_and_early_in_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ssh_reader.SshReader()
    assert batches.read(reader, lines(HELLO)).tables == {}
    assert [row["n"] for row in batches.rows(batches.read(reader, []), "ssh")] == [1]
    monkeypatch.setattr(ssh_reader, "MOST_FLOWS", 2)
    crowd = [one for n in range(5) for one in lines(HELLO[:2], n)]
    assert [row["n"] for row in batches.rows(batches.read(reader, crowd), "ssh")] == [0, 1, 2]


def test_texts_that_nobody_holds_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_reader, "_MOST_SEEN", 3)
    reader = ssh_reader.SshReader()
    for n in range(10):
        said: list[Said] = [(0, b"SSH-2.0-%d\n" % n), (0, kexinit([b"k%d" % n, *CLIENT[1:]])), (1, kexinit([b"k%d" % n]))]
        batches.read(reader, lines(said, n), range(n - 1))
    assert len(reader._banners.values) <= 3
    assert len(reader._lists.values) <= 4  # two of each connection that is still open
    [eighth, ninth] = batches.rows(batches.read(reader, []), "ssh")
    assert (eighth["client"], ninth["client"], eighth["kex"], ninth["kex"]) == ("SSH-2.0-8", "SSH-2.0-9", "k8", "k9")


def guessed(told: Sequence[tuple[int, int]]) -> tuple[bool | None, int]:
    """The guess as Zeek's documentation has it, one segment after the other."""
    result, attempts, heard, asked, accept, failure, bannered = None, 0, 0, False, 0, 0, False
    for side, size in told:
        if not side:
            asked = True
            continue
        heard += 1
        if asked and not accept:
            accept = size
        elif asked and size == accept - 16 and size != failure:
            return True, attempts + 1
        elif asked and not failure:
            bannered, failure = (True, 0) if not bannered and size - accept > 256 else (bannered, size)
        elif asked and size == failure:
            result, attempts = False, attempts + 1
        if heard >= 12:
            break
    return result, attempts


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([48, 64, 80, 400])), max_size=30), st.lists(st.integers(0, 40)))
@settings(max_examples=150, deadline=None)
def test_the_guess_is_the_same_however_messages_come_together(told: list[tuple[int, int]], cuts: list[int]) -> None:
    said = [one for pair in zip(lines(HELLO + sizes(*told), 1), lines(HELLO + sizes(*told), 2), strict=True) for one in pair]
    reader = ssh_reader.SshReader()
    found: list[dict[str, Any]] = []
    at = 0
    for cut in [*sorted(cuts), len(said)]:
        found += batches.rows(batches.read(reader, said[at:cut], [99]), "ssh") if cut > at else []
        at = max(at, cut)
    found += batches.rows(batches.read(reader, [], [1, 2]), "ssh")
    assert [(row["authenticated"], row["attempts"]) for row in found] == [guessed(told)] * 2


@settings(max_examples=150, deadline=None)
@given(mutated([data for _, data, *_ in HELLO]))
def test_any_bytes(said: list[Said]) -> None:
    assert malformed(said) <= len(said)


def test_bytes_that_are_not_there_are_not_read() -> None:
    rows, arena = batches.rows_of(lines(HELLO))
    rows["at"] = 10**9
    assert ssh_reader.SshReader().read(rows, arena, rows["n"][:1].copy()).tables == {}
