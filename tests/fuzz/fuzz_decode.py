"""Structure-aware fuzzing of framing and decoding: ``python -m tests.fuzz.fuzz_decode [COUNT] [SEED]``;
``--seconds N [SEED]`` instead goes on for that long.

With atheris installed, ``python -m tests.fuzz.fuzz_decode --atheris [libFuzzer arguments]`` lets coverage of the Python side
guide it. Run it with NUMBA_BOUNDSCHECK=1 (and another NUMBA_CACHE_DIR): then a kernel that reads outside the captured bytes
raises IndexError. Without, what a row says must still not depend on the bytes around its packet.
"""

from __future__ import annotations

import random
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.decode import wire as W  # noqa: N812
from workbench.decode.packets import LAYERS_ONLY, VERIFY_CHECKSUMS, decode_frames
from workbench.decode.tally import UndecodedTally
from workbench.errors import BadInputError
from workbench.records.packet import ARP, CUT, FLOW, FRAME, PACKET, UNDECODED
from workbench.records.reasons import BY_CODE

LINKS = (0, 1, 9, 12, 50, 51, 101, 104, 105, 107, 108, 113, 117, 129, 147, 149, 166, 204, 205, 228, 229, 258, 276)
_GROWN = 0xFF


def seeds(r: random.Random) -> bytes:
    """One honest packet, wrapped a few times at random."""
    v6 = r.random() < 0.4
    a, b = (W.A6, W.B6) if v6 else (W.A4, W.B4)
    payload = r.randbytes(r.choice((0, 1, 7, 40, 300)))
    inner = r.choice(
        (
            lambda: (6, W.tcp(40000, 80, payload, a, b, flags=r.randrange(512), options=bytes(4 * r.randrange(11)))),
            lambda: (17, W.udp(r.randrange(65536), r.choice((53, 4789, 6081, 2152, 3544, 5072, 6635)), payload, a, b)),
            lambda: (58 if v6 else 1, W.icmp6(r.randrange(256)) if v6 else W.icmp(r.randrange(256))),
            lambda: (132, struct.pack(">HHII", 1, 2, 3, 4) + payload),
            lambda: (r.randrange(256), payload),
        )
    )()
    packet = _in_ip(r, *inner, a, b, v6)
    for _ in range(r.choice((0, 0, 0, 1, 1, 2, 3, 9))):
        packet, v6 = _wrap(r, packet, v6)
    return packet


def _in_ip(r: random.Random, proto: int, segment: bytes, a: str, b: str, v6: bool) -> bytes:
    if not v6:
        frag = r.choice((0, 0, 0, 0, 0x2000, 0x2010, 0x0005, 0x4000))
        return W.ip4(proto, segment, a, b, options=bytes(4 * r.choice((0, 0, 1, 10))), frag=frag, ident=r.randrange(65536))
    for kind in r.sample((0, 43, 44, 51, 60, 135, 139, 140), r.choice((0, 0, 1, 2, 5))):
        size = 8 if kind == 44 else 8 * r.randrange(1, 4)
        body = bytes([proto, (size // 4 - 2) if kind == 51 else (size // 8 - 1)]) + r.randbytes(size - 2)
        proto, segment = kind, body + segment
    return W.ip6(proto, segment, a, b)


def _wrap(r: random.Random, packet: bytes, v6: bool) -> tuple[bytes, bool]:
    kind = 0x86DD if v6 else 0x0800
    frame = W.eth(kind, packet, tags=tuple((0x8100, r.randrange(4096)) for _ in range(r.randrange(3))))
    x, y = "192.0.2.1", "192.0.2.2"
    choice: Callable[[], bytes] = r.choice(
        (
            lambda: W.ip4(4 if not v6 else 41, packet, x, y),
            lambda: W.ip4(47, struct.pack(">HH", 0, kind) + packet, x, y),
            lambda: W.ip4(47, struct.pack(">HHI", 0x2000, 0x6558, r.randrange(1 << 32)) + frame, x, y),
            lambda: W.ip4(47, struct.pack(">HHI", 0x1000, 0x88BE, 1) + b"\x10\0" + bytes(6) + frame, x, y),
            lambda: W.ip4(
                47, struct.pack(">HHI", 0x1000, 0x22EB, 1) + b"\x20\0" + bytes(9) + bytes([r.randrange(2)]) + frame, x, y
            ),
            lambda: W.ip4(17, W.udp(9, 4789, struct.pack(">II", 8 << 24, r.randrange(1 << 32)) + frame, x, y), x, y),
            lambda: W.ip4(17, W.udp(9, 4790, bytes([12, 0, 0, r.randrange(6)]) + bytes(4) + frame, x, y), x, y),
            lambda: W.ip4(17, W.udp(9, 6081, bytes([r.randrange(64), 0]) + b"\x65\x58" + bytes(4) + frame, x, y), x, y),
            lambda: W.ip4(
                17, W.udp(9, 2152, bytes([0x30 | r.randrange(8), 255]) + bytes(6) + r.randbytes(4) + packet, x, y), x, y
            ),
            lambda: W.ip4(137, struct.pack(">I", 0x10100) + packet, x, y),
        )
    )
    return choice(), False


def in_link(r: random.Random, packet: bytes) -> tuple[int, bytes]:
    """A link header in front of it: (LINKTYPE, bytes)."""
    kind = 0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x0800
    tags = tuple((r.choice((0x8100, 0x88A8)), r.randrange(65536)) for _ in range(r.choice((0, 0, 1, 2, 3))))
    frame = W.eth(kind, packet, tags=tags)
    return r.choice(
        (
            (1, frame),
            (1, frame),
            (1, frame),
            (101, packet),
            (113, bytes(4) + b"\0\6" + bytes(8) + struct.pack(">H", kind) + packet),
            (276, struct.pack(">H", kind) + bytes(9) + b"\6" + bytes(8) + packet),
            (0, b"\2\0\0\0" + packet),
            (9, b"\xff\x03\0\x21" + packet),
            (1, W.eth(0x8847, struct.pack(">I", 0x10100) + packet)),
            (1, W.eth(0x8864, b"\x11\0\0\1" + struct.pack(">H", len(packet) + 2) + b"\0\x21" + packet)),
            (1, W.eth(0x0806, W.arp(r.randrange(9)))),
            (r.choice(LINKS), packet),
        )
    )


def mutate(r: random.Random, data: bytes) -> bytes:
    """Flip, overwrite with edge values, cut, insert, repeat; often nothing."""
    out = bytearray(data)
    for _ in range(r.choice((0, 0, 1, 1, 2, 4, 16))):
        if not out:
            break
        # most fields that matter stand in the first bytes of each header
        at = min(len(out) - 1, int(r.expovariate(1 / 40)))
        what = r.randrange(6)
        if what == 0:
            out[at] ^= 1 << r.randrange(8)
        elif what == 1:
            out[at] = r.choice((0, 1, 4, 6, 17, 41, 44, 47, 0x45, 0x4F, 0x60, 0x7F, 0x80, 0xFF))
        elif what == 2:
            out[at : at + 2] = struct.pack(">H", r.choice((0, 1, 7, 8, 19, 20, 0x7FFF, 0x8000, 0xFFFF, len(out))))
        elif what == 3:
            del out[r.randrange(len(out)) :]
        elif what == 4:
            out[at:at] = r.randbytes(r.randrange(1, 9))
        else:
            out[at : at + 8] = out[at : at + 8] * 2
    return bytes(out)


def check(link: int, packet: bytes, on_wire: int) -> Any:
    """Decode it among different neighbours, both ways; every row must say the same and be consistent."""
    seen = []
    for flags in (VERIFY_CHECKSUMS, VERIFY_CHECKSUMS | LAYERS_ONLY):
        for before, behind in ((b"", b""), (b"\x45" * 40, b"\xff" * 300), (b"", b"\0" * 64)):
            buf = np.frombuffer(before + packet + behind, np.uint8)
            frames = np.zeros(1, FRAME)
            frames[0] = (7, len(before), len(before), len(packet), on_wire, link, 0)
            rows = np.full(1, _GROWN, np.uint8).repeat(PACKET.itemsize).view(PACKET)
            decode_frames(buf, frames, 1, rows, flags)
            said = W.view(rows[0])
            for place in ("rec", "end", "pay"):
                if place in said:
                    said[place] -= len(before)
            seen.append(said)
    first = seen[0]
    for other in seen[1:]:
        assert other == first, (
            link,
            on_wire,
            packet.hex(),
            {k: (v, other.get(k)) for k, v in first.items() if other.get(k) != v},
        )
    _consistent(first, link, packet, on_wire)
    return rows


def _consistent(row: dict[str, Any], link: int, packet: bytes, on_wire: int) -> None:
    where = (link, on_wire, packet.hex(), row)
    assert row["status"] in (FLOW, ARP, UNDECODED), where
    assert (row["ts"], row["rec"], row["end"], row["wire"]) == (7, 0, len(packet), on_wire), where
    if row["status"] == UNDECODED:
        assert row["reason"] in BY_CODE, where
        return
    assert bool(row["marks"] & CUT) == (len(packet) < on_wire), where
    if row["pay_cap"]:
        assert 0 <= row["pay"] <= row["pay"] + row["pay_cap"] <= len(packet), where
    assert row["pay_cap"] <= row["payload"] <= max(len(packet), on_wire), where
    assert row["ip_bytes"] <= max(len(packet), on_wire), where
    assert row["version"] in (4, 6), where


def stream(r: random.Random) -> bytes:
    """A capture file of a few packets, damaged or not."""
    order = r.choice("<>")
    packets = [in_link(r, seeds(r))[1] for _ in range(r.randrange(5))]
    if r.random() < 0.5:
        magic = r.choice((0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34))
        data = W.pcap_file([(10**18 + n, p) for n, p in enumerate(packets)], order=order, magic=magic)
    else:
        data = W.section(order) + W.interface(order, options=W.option(9, r.randbytes(1), order))
        for p in packets:
            data += r.choice((W.enhanced(p, r.getrandbits(64), 0, order), W.simple(p, order), W.obsolete(p, 1, 0, 2, order)))
            if r.random() < 0.3:
                data += W.block(r.choice((4, 5, 10, 0xBAD)), r.randbytes(r.randrange(40)), order)
    if r.random() < 0.7:
        body = bytearray(data)
        for _ in range(r.randrange(1, 5)):
            body[r.randrange(24, len(body)) if len(body) > 24 else 0] = r.choice((0, 1, 0x7F, 0x80, 0xFF, r.randrange(256)))
        data = bytes(body[: r.randrange(24, len(body) + 1)] if len(body) > 24 and r.random() < 0.5 else body)
    return data


def check_stream(r: random.Random, data: bytes) -> None:
    """Whatever the blocks it comes in, the same records; every row decoded; the tally adds up."""
    try:
        framer, frames, packets = W.read(data)
    except BadInputError as refused:
        assert refused.message  # noqa: PT017  a header may be refused, in words
        return
    step = r.randrange(28, 400)
    _, again, packets_again = W.read(data, step=step)
    assert packets == packets_again, (step, data.hex())
    assert frames["ts"].tolist() == again["ts"].tolist(), (step, data.hex())
    assert framer.offset == len(data)
    buf = np.frombuffer(data, np.uint8)
    rows = np.zeros(len(frames), PACKET)
    decode_frames(buf, frames, len(frames), rows, VERIFY_CHECKSUMS)
    tally = UndecodedTally()
    tally.add(rows, len(rows), 1)
    assert tally.undecoded == int((rows["status"] == UNDECODED).sum())
    tally.ledger()
    framer.ledger()


def one(seed: int) -> None:
    """One round; the seed tells it again."""
    r = random.Random(seed)
    link, packet = in_link(r, mutate(r, seeds(r)) if r.random() < 0.5 else seeds(r))
    packet = mutate(r, packet)
    if r.random() < 0.03:
        packet = r.randbytes(r.randrange(200))
    on_wire = len(packet) if r.random() < 0.6 else r.choice((0, 1, len(packet) + r.randrange(2000), 1 << 31))
    check(link, packet[: r.randrange(len(packet) + 1)] if r.random() < 0.3 else packet, on_wire)
    if seed % 8 == 0:
        check_stream(r, stream(r))


def main(count: int, first: int) -> None:
    """Rounds first .. first+count-1."""
    run(one, [str(count), str(first)], count)


def run(rounds: Callable[[int], None], arguments: list[str], count: int) -> None:
    """``[COUNT] [SEED]`` or ``--seconds N [SEED]``: rounds until one fails, which names its seed."""
    until = None
    if arguments[:1] == ["--seconds"]:
        until, arguments = time.monotonic() + float(arguments[1]), ["0", *arguments[2:]]
    first = int(arguments[1]) if len(arguments) > 1 else 0
    count = int(arguments[0]) if arguments else count
    seed = first
    while seed < first + count if until is None else time.monotonic() < until:
        try:
            rounds(seed)
        except BaseException:
            sys.stderr.write(f"seed {seed} failed\n")
            raise
        seed += 1
    sys.stdout.write(f"{seed - first} rounds from seed {first}: fine\n")


def frames_of(seed: int, rest: bytes) -> None:
    """A round, and the bytes themselves as a frame."""
    one(seed)
    if len(rest) > 3:
        check(LINKS[rest[0] % len(LINKS)], rest[3:], int.from_bytes(rest[1:3], "big"))


def guided(arguments: list[str], rounds: Callable[[int], None] | None = None) -> None:
    """The same under atheris: its bytes choose the seed and the mutations."""
    import atheris  # type: ignore[import-not-found]

    def once(data: bytes) -> None:
        provider = atheris.FuzzedDataProvider(data)
        seed = provider.ConsumeIntInRange(0, 1 << 60)
        if rounds is not None:
            rounds(seed)
        else:
            frames_of(seed, provider.ConsumeBytes(4096))

    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


if __name__ == "__main__":
    if "--atheris" in sys.argv:
        guided([a for a in sys.argv[1:] if a != "--atheris"])
    else:
        run(one, sys.argv[1:], 20_000)
