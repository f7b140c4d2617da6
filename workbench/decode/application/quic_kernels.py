"""Kernels that find a client's Initial packets in datagrams, and take the protection off their headers (RFC 9000, 17.2).

`find_packets` goes through all datagrams of a call and leaves each packet ready to be opened: key, nonce and header as they
were before they were protected. `follow` goes through them again once it is known where a hello became whole, and notes which
versions both sides speak up to there.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types

from workbench.decode.application.quic_keys import DIGEST, KEY, encrypt, mac
from workbench.decode.application.quic_packets import INITIAL, RETRY, V2, info, salts
from workbench.decode.bits import be32, exported, i64, kernel
from workbench.records.message import MESSAGE

#: What a datagram is. KNOWN: a short header, or whatever else a connection that is known may say.
NOTHING, KNOWN, NEGOTIATION, SERVER, GOOGLE, CLIENT, LIE, LIE_OF_CLIENT = range(8)

#: CONNECTION.server: nothing was heard; versions were offered, which the reader holds as text.
SILENT: Final = -1
OFFERED: Final = -2

#: What is known of a connection until its row is told.
CONNECTION: Final = np.dtype(
    [
        ("key", np.int64),  # number of the flow
        ("ts", np.int64),  # ns
        ("version", np.int64),  # the client's; 0
        ("server", np.int64),  # the version it answered with
        ("offer", np.int64),  # place of the datagram that offers versions, within this call; -1
        ("whole", np.int64),  # place of the datagram that made the hello whole, within this call; -1 before; FAR: it is not
        ("under", np.int64),  # version that the key is of
        ("sni", np.int32),  # numbers of texts; -1
        ("alpn", np.int32),
        ("print", np.int32),
        ("cert", np.int32),
        ("secret", np.uint8, (16,)),  # key, IV and header protection key that the first packet's id makes
        ("iv", np.uint8, (12,)),
        ("hp", np.uint8, (16,)),
        ("dcid", np.uint8, (20,)),  # that id
        ("dcid_size", np.uint8),
        ("side", np.uint8),  # who sent the first packet, taken for the client
        ("begun", np.uint8),
        ("keyed", np.uint8),
        ("proven", np.uint8),  # the key has opened a packet
        ("odd", np.uint8),  # it has failed to: packets are opened one by one, with several keys
    ],
    align=True,
)
FAR: Final = 1 << 62

#: An Initial packet of a client.
PACKET: Final = np.dtype(
    [
        ("place", np.int64),  # of the datagram in this call
        ("connection", np.int64),  # its row
        ("start", np.int64),  # in the arena: header, packet number, protected bytes, end
        ("number_at", np.int64),
        ("body_at", np.int64),
        ("end", np.int64),
        ("head_at", np.int64),  # the header without its protection, in `heads`
        ("head_size", np.int64),
        ("version", np.int64),
        ("dcid_at", np.int64),
        ("dcid_size", np.int64),
        ("secret", np.uint8, (16,)),
        ("nonce", np.uint8, (12,)),
    ],
    align=True,
)
#: Bytes that an Initial packet has at least, of those that can be opened: header, a sample of what is protected.
LEAST: Final = 9 + 4 + 16

_MOST_ID: Final = 20
_SALTS, _KNOWN = salts()
#: What HKDF is asked for: by version (2 or another), secret, key, IV, header protection key; its size in front.
_INFO: Final = np.array([info(new) for new in (False, True)], np.uint8)

_ROWS: Final = types.Array(from_dtype(MESSAGE), 1, "C", readonly=True)
_BYTES: Final = types.Array(types.uint8, 1, "C", readonly=True)
_OUT: Final = types.Array(types.uint8, 1, "C")
_PLACES: Final = types.Array(types.int64, 1, "C", readonly=True)
_NUMBERS: Final = types.Array(types.int64, 1, "C")
_CONNECTIONS: Final = types.Array(from_dtype(CONNECTION), 1, "C")
_PACKETS: Final = types.Array(from_dtype(PACKET), 1, "C")
_WORK: Final = types.Array(types.uint32, 1, "C")


@kernel
def varint(buf: Any, at: Any, stop: Any) -> Any:
    """A number of variable length (RFC 9000, 16), and where it ends; -1 where it ends early."""
    if at >= stop:
        return i64(-1), stop
    width = 1 << (i64(buf[at]) >> 6)
    if at + width > stop:
        return i64(-1), stop
    value = i64(buf[at]) & 0x3F
    for i in range(1, width):
        value = (value << 8) | i64(buf[at + i])
    return value, at + width


@kernel
def _past_ids(buf: Any, at: Any, stop: Any) -> Any:
    """Where the two connection ids of the long header at `at` end; -1 where they don't fit."""
    at += 5
    for _ in range(2):
        if at >= stop or buf[at] > _MOST_ID or at + 1 + i64(buf[at]) > stop:
            return i64(-1)
        at += 1 + i64(buf[at])
    return at


@kernel
def _salt(version: Any) -> Any:
    """The row of a version's salt; -1 where it is not known."""
    for row in range(len(_KNOWN)):
        if _KNOWN[row, 0] <= version <= _KNOWN[row, 1]:
            return i64(_KNOWN[row, 2])
    return i64(-1)


@kernel
def _google(buf: Any, at: Any, stop: Any) -> Any:
    """A version of Google's before the IETF's (Q or T, three digits); -1."""
    if stop - at >= 13 and (i64(buf[at]) & 0x89) == 0x09:
        at += 9
    elif i64(buf[at]) & 0x80:
        at += 1
    else:
        return i64(-1)
    letters = buf[at] == 81 or buf[at] == 84
    for i in range(1, 4):
        letters = letters and 48 <= buf[at + i] <= 57
    return be32(buf, at) if letters else i64(-1)


@kernel
def _expand(block: Any, work: Any, new: Any, which: Any) -> None:
    """HKDF-Expand-Label of one block (RFC 8446, 7.1), under the key that is there."""
    size = i64(_INFO[new, which, 0])
    for i in range(size):
        block[i] = _INFO[new, which, 1 + i]
    mac(block, size, work)


@kernel
def _derive(buf: Any, at: Any, connection: Any, version: Any, row: Any, block: Any, work: Any) -> None:
    """Keys of the client's Initial packets to the id whose size is at `at` (RFC 9001, 5.2)."""
    size = i64(buf[at])
    connection.dcid_size = size
    connection.under = version
    for i in range(64):
        block[KEY + i] = _SALTS[row, i] if i < 20 else 0
    for i in range(size):
        block[i] = connection.dcid[i] = buf[at + 1 + i]
    mac(block, size, work)
    new = 1 if version == V2 else 0
    for which in range(4):
        if which < 2:
            for i in range(64):
                block[KEY + i] = block[DIGEST + i] if i < 32 else 0
        _expand(block, work, new, which)
        for i in range(16):
            if which == 1:
                connection.secret[i] = block[DIGEST + i]
            elif which == 2 and i < 12:
                connection.iv[i] = block[DIGEST + i]
            elif which == 3:
                connection.hp[i] = block[DIGEST + i]


@kernel
def _unmask(buf: Any, packet: Any, connection: Any, heads: Any, cells: Any) -> None:
    """Take the protection off a packet's header (RFC 9001, 5.4): header to `heads`, nonce and key to the packet."""
    at = i64(packet.number_at)
    for i in range(16):
        cells[i] = buf[at + 4 + i]
        cells[16 + i] = connection.hp[i]
        packet.secret[i] = connection.secret[i]
    encrypt(cells)
    to = i64(packet.head_at)
    size = at - i64(packet.start)
    for i in range(size):  # a copy of a slice takes half a second to compile
        heads[to + i] = buf[at - size + i]
    heads[to] ^= cells[0] & 0x0F
    width = (i64(heads[to]) & 3) + 1
    for i in range(12):
        packet.nonce[i] = connection.iv[i]
    for i in range(width):
        number = buf[at + i] ^ cells[1 + i]
        heads[to + size + i] = number
        packet.nonce[12 - width + i] ^= number
    packet.head_size = size + width
    packet.body_at = at + width


@kernel
def _packets(
    buf: Any,
    at: Any,
    stop: Any,
    place: Any,
    row: Any,
    connections: Any,
    packets: Any,
    count: Any,
    heads: Any,
    head: Any,
    spare: Any,
) -> Any:
    """The packets that share a datagram (RFC 9000, 12.2): (packets so far, bytes of heads, last version, whether it lies)."""
    block, cells, work = spare
    connection = connections[row]
    last = i64(0)
    while at + 7 <= stop and (i64(buf[at]) & 0xC0) == 0xC0:
        version = be32(buf, at + 1)
        salt = _salt(version)
        if salt < 0:
            break
        kind = (i64(buf[at]) >> 4) & 3
        if version == V2:
            kind = (kind - 1) & 3
        walk = _past_ids(buf, at, stop)
        if walk < 0:
            return count, head, last, True
        if kind == RETRY:
            last = version
            break
        if kind == INITIAL:
            token, walk = varint(buf, walk, stop)
            if token < 0 or token > stop - walk:
                return count, head, last, True
            walk += token
        length, walk = varint(buf, walk, stop)
        if length < 0 or length > stop - walk:
            return count, head, last, True
        last = version
        if kind == INITIAL and connection.whole == FAR and length >= 20 and count < packets.size:
            packet = packets[count]
            packet.place = place
            packet.connection = row
            packet.start = at
            packet.number_at = walk
            packet.end = walk + length
            packet.version = version
            packet.dcid_at = at + 6
            packet.dcid_size = buf[at + 5]
            packet.head_at = head
            if not connection.keyed:
                _derive(buf, at + 5, connection, version, salt, block, work)
                connection.keyed = 1
            if not connection.odd:
                _unmask(buf, packet, connection, heads, cells)
                head += i64(packet.head_size)
            count += 1
        at = walk + length
    return count, head, last, False


@kernel
def _kind(buf: Any, at: Any, stop: Any, side: Any, ts: Any, connection: Any) -> Any:
    """What a datagram is, and its version."""
    first = i64(buf[at])
    if connection.begun and (first & 0x80) == 0:
        return KNOWN, i64(-1)
    if stop - at < 7 or ((first & 0x80) == 0 and (first & 0x89) != 0x09):
        return NOTHING, i64(-1)
    old = _google(buf, at, stop)
    version = old
    if old < 0:
        if not first & 0x80:
            return NOTHING, i64(-1)
        version = be32(buf, at + 1)
    if not connection.begun:
        connection.begun = 1
        connection.ts = ts
        connection.side = side if version else 1 - side
    if version == 0:
        return (NEGOTIATION if _past_ids(buf, at, stop) >= 0 else LIE), version
    if side != connection.side:
        return SERVER, version
    return (CLIENT if old < 0 else GOOGLE), version


@exported((_ROWS, _BYTES, _PLACES, _CONNECTIONS, _PACKETS, _OUT, _OUT, _NUMBERS, _NUMBERS, _OUT, _OUT, _WORK))
def find_packets(
    rows: Any, arena: Any, places: Any, connections: Any, packets: Any, heads: Any, kinds: Any, versions: Any, lasts: Any,
    block: Any, cells: Any, work: Any,
) -> Any:  # fmt: skip
    """What each datagram is; the packets found: how many. places: each one's connection, -1 where it was told already.

    versions: of the datagram's first packet; lasts: of its last, or 0. heads: as many bytes as all datagrams.
    """
    count = i64(0)
    head = i64(0)
    for place in range(rows.size):
        row = rows[place]
        at = i64(row.at)
        stop = at + i64(row.size)
        kinds[place] = KNOWN if places[place] < 0 else NOTHING
        versions[place] = lasts[place] = 0
        if places[place] < 0 or at < 0 or stop > arena.size or stop == at:
            continue
        side = i64(row.side) & 1
        kind, version = _kind(arena, at, stop, side, i64(row.ts), connections[places[place]])
        if kind == CLIENT:
            count, head, last, lies = _packets(
                arena, at, stop, place, places[place], connections, packets, count, heads, head, (block, cells, work)
            )
            lasts[place] = last
            kind = LIE_OF_CLIENT if lies else CLIENT
        elif kind == NEGOTIATION:
            lasts[place] = _past_ids(arena, at, stop)
        kinds[place] = kind
        versions[place] = version
    return count


@exported((_ROWS, _PLACES, _CONNECTIONS, _OUT, _NUMBERS, _NUMBERS, _OUT, _OUT))
def follow(
    rows: Any, places: Any, connections: Any, kinds: Any, versions: Any, lasts: Any, lies: Any, seen: Any
) -> Any:  # fmt: skip
    """Note the versions of each side, as long as there is something to learn: how many datagrams lie.

    lies: 1 where frames of a datagram's packets did not fit. seen: 1 where a datagram is QUIC's.
    """
    count = i64(0)
    for place in range(rows.size):
        kind = i64(kinds[place])
        seen[place] = 1 if kind != NOTHING else 0
        if places[place] < 0:
            continue
        connection = connections[places[place]]
        if connection.whole < place and connection.server != SILENT:
            seen[place] = 1
            kinds[place] = KNOWN
        elif kind in (LIE, LIE_OF_CLIENT) or lies[place]:
            seen[place] = 0
            count += 1
        elif kind == NEGOTIATION:
            row = rows[place]
            there = i64(row.at) + i64(row.size) - lasts[place] >= 4
            connection.server = OFFERED if there else SILENT
            connection.offer = place if there else -1
        elif kind == SERVER and connection.server == SILENT:
            connection.server = versions[place]
        if kinds[place] in (CLIENT, GOOGLE, LIE_OF_CLIENT):
            if connection.version == 0:
                connection.version = versions[place]
            if lasts[place]:
                connection.version = lasts[place]
    return count
