"""Opening Initial packets, and what was opened of hellos that are not whole yet."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from workbench.decode.application.quic_packets import V2, info, salt

#: Connection ids with keys, and packets that no key opened, of one connection.
_MOST_KEYS: Final = 3
_MOST_FAILED: Final = 8
_SAMPLE: Final = 16


class Keys:
    """What protects the client's Initial packets to one connection id: the same as the kernels make, where one is not enough."""

    def __init__(self, version: int, dcid: bytes) -> None:
        secret = hmac.digest(salt(version) or b"", dcid, "sha256")
        made = []
        for size, *said in info(version == V2):
            made.append(hmac.digest(secret, bytes(said[:size]), "sha256"))
            secret = made[0]
        self.version = version
        self.dcid = dcid
        self._aead = AESGCM(made[1][:16])
        self._iv = int.from_bytes(made[2][:12], "big")
        self._mask: Any = Cipher(algorithms.AES(made[3][:16]), modes.ECB()).encryptor()  # noqa: S305

    def open(self, data: bytes, number_at: int) -> bytes | None:
        """The payload of a packet whose number begins there; None where these keys don't open it."""
        mask = self._mask.update(data[number_at + 4 : number_at + 4 + _SAMPLE])
        first = data[0] ^ (mask[0] & 0x0F)
        body = number_at + (first & 3) + 1
        number = bytes(a ^ b for a, b in zip(data[number_at:body], mask[1:], strict=False))
        nonce = (self._iv ^ int.from_bytes(number, "big")).to_bytes(12, "big")
        try:
            return self._aead.decrypt(nonce, data[body:], bytes([first]) + data[1:number_at] + number)
        except InvalidTag:
            return None


@dataclass(slots=True)
class _Odd:
    """A connection whose packets need other keys than its first id's: after a Retry, or nobody's."""

    keys: list[Keys] = field(default_factory=list)
    failed: int = 0

    def open(self, version: int, dcid: bytes, data: bytes, number_at: int) -> bytes | None:
        """Open a packet with the keys that are there, else with those of its own id."""
        if self.failed >= _MOST_FAILED:
            return None
        payload = next((found for keys in self.keys if (found := keys.open(data, number_at)) is not None), None)
        fresh = all(keys.dcid != dcid or keys.version != version for keys in self.keys)
        if payload is None and fresh and len(self.keys) < _MOST_KEYS:
            keys = Keys(version, dcid)
            payload = keys.open(data, number_at)
            if payload is not None:
                self.keys.append(keys)
        self.failed += payload is None
        return payload


class Opener:
    """Opens packets of many connections, and holds payloads until their hello is whole: what at most sixteen datagrams hold."""

    def __init__(self) -> None:
        self._payloads: dict[int, list[bytes]] = {}
        self._places: dict[int, list[int]] = {}
        self._odd: dict[int, _Odd] = {}

    def open(self, known: NDArray[Any], packets: NDArray[Any], arena: memoryview, heads: memoryview) -> list[int]:
        """Open packets (PACKET rows of CONNECTION rows). Returns the connections that have a payload more."""
        secrets = np.ascontiguousarray(packets["secret"]).tobytes()
        nonces = np.ascontiguousarray(packets["nonce"]).tobytes()
        rows, numbers = packets["connection"].tolist(), known["key"][packets["connection"]].tolist()
        fields = [packets[name].tolist() for name in ("place", "body_at", "end", "head_at", "head_size")]
        odd, proven = known["odd"], known["proven"]
        opened: dict[int, None] = {}
        for i, (row, n, place, at, end, head, size) in enumerate(zip(rows, numbers, *fields, strict=True)):
            if n in self._odd:
                payload = self._open_odd(n, packets[i], arena)
            else:
                aead = AESGCM(secrets[16 * i : 16 * i + 16])
                try:
                    payload = aead.decrypt(nonces[12 * i : 12 * i + 12], arena[at:end], heads[head : head + size])
                    proven[row] = 1
                except InvalidTag:
                    odd[row] = 1
                    payload = self._turn_odd(n, known[row], packets[i], arena)
            if payload is not None:
                self._payloads.setdefault(n, []).append(payload)
                self._places.setdefault(n, []).append(place)
                opened[row] = None
        return list(opened)

    def _turn_odd(self, n: int, connection: Any, packet: Any, arena: memoryview) -> bytes | None:
        """A packet that the key of its connection's first id does not open, for the first time."""
        dcid = connection["dcid"][: int(connection["dcid_size"])].tobytes()
        at, under = int(packet["dcid_at"]), int(connection["under"])
        odd = self._odd[n] = _Odd([Keys(under, dcid)] if connection["proven"] else [])
        if bytes(arena[at : at + int(packet["dcid_size"])]) == dcid and int(packet["version"]) == under:
            odd.failed = 1
            return None  # there is no other key for it
        return self._open_odd(n, packet, arena)

    def _open_odd(self, n: int, packet: Any, arena: memoryview) -> bytes | None:
        start, dcid = int(packet["start"]), int(packet["dcid_at"])
        given = bytes(arena[dcid : dcid + int(packet["dcid_size"])])
        data = bytes(arena[start : int(packet["end"])])
        return self._odd[n].open(int(packet["version"]), given, data, int(packet["number_at"]) - start)

    def held(self, known: NDArray[Any], rows: list[int]) -> tuple[list[int], list[bytes], list[int]]:
        """Payloads of these connections, one behind another: where each one's end; payloads; their datagrams' places, or -1."""
        parts: list[int] = []
        payloads: list[bytes] = []
        places: list[int] = []
        for n in known["key"][rows].tolist():
            payloads += self._payloads[n]
            places += self._places[n]
            parts.append(len(payloads))
            self._places[n] = [-1] * len(self._payloads[n])
        return parts, payloads, places

    def forget(self, numbers: list[int]) -> None:
        """Nothing more is wanted of these flows."""
        for n in numbers:
            self._payloads.pop(n, None)
            self._places.pop(n, None)
            self._odd.pop(n, None)
