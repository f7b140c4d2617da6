"""Files of nfdump (nfcapd, nfpcapd, sfcapd): a header, then blocks of flow records, compressed one by one.

Layout 1 is nfdump 1.6's, layout 2 is 1.7's; both are written in the byte order of the machine, and read here where that is
little-endian. Sources: nfdump's nffile.h and nffileV2.h. A block that cannot be read is counted, and the next one is found by its
length; nothing that a file says is believed beyond `LARGEST`.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.nfdump import layout_one, layout_two
from workbench.decode.nfdump.fields import Bytes, Rows
from workbench.decode.telemetry.tallying import Tally
from workbench.errors import BadInputError
from workbench.records import telemetry as r

MAGIC: Final = b"\x0c\xa5"
_SWAPPED: Final = b"\xa5\x0c"
#: Bytes of a block, packed or not: nfdump's own buffers hold 10 MiB.
LARGEST: Final = 16 << 20
_HEADERS: Final = {1: 140 + 136, 2: 40}
_BLOCK: Final = struct.Struct("<IIHH")
_RECORD: Final = struct.Struct("<HH")
_PLAIN, _LZO, _BZ2, _LZ4, _ZSTD = range(5)
_NAMES: Final = {_LZO: "LZO", _BZ2: "BZ2", _LZ4: "LZ4", _ZSTD: "ZSTD"}
_REMEDY: Final = "Give what `nfdump -r FILE -o json` prints, or write the file anew with `nfdump -r FILE -w NEW -j`."
_ROWS: Final = 8192

Sink = Callable[[Rows], None]


def is_nfcapd(head: bytes) -> bool:
    """Whether a file begins as nfdump's do, in either byte order."""
    if len(head) < 4 or head[:2] not in (MAGIC, _SWAPPED):
        return False
    order = "<" if head[:2] == MAGIC else ">"
    return struct.unpack_from(f"{order}H", head, 2)[0] in _HEADERS


class Reader:
    """Feed it a file's bytes in order; rows of `records.telemetry` go to `sink`, exporter and message number set.

    BadInputError where the file is one that is not read here: another byte order, encrypted, or packed with LZO.
    """

    def __init__(self, exporter: int, tally: Tally, sink: Sink) -> None:
        self.records = 0
        self.blocks = 0
        self._exporter = exporter
        self._tally = tally
        self._sink = sink
        self._layout = 0
        self._packed = _PLAIN
        self._maps = layout_one.Maps()
        self._clock = 0

    def start_file(self) -> None:
        """What comes next is the beginning of a file."""
        self._layout = 0
        self._maps = layout_one.Maps()

    def take(self, data: Bytes, *, eof: bool) -> int:
        """Every whole block of `data`; how many bytes are done with. eof: nothing comes behind."""
        at = 0
        if not self._layout:
            at = self._begin(data[:276].tobytes(), eof=eof)
            if not self._layout:
                return len(data) if eof else 0
        while len(data) - at >= _BLOCK.size:
            _, size, kind, flags = _BLOCK.unpack_from(data[at : at + _BLOCK.size].tobytes())
            if size > LARGEST:
                self._tally.add("damaged", len(data) - at, self.blocks + 1, f"a block that tells of {size} bytes")
                return len(data)
            after = at + _BLOCK.size + size
            if after > len(data):
                break
            self.blocks += 1
            self._block(data[at + _BLOCK.size : after], kind, flags)
            at = after
        if eof and at < len(data):
            self._tally.add("cut", 1, self.blocks + 1, f"{len(data) - at} bytes of a block")
            return len(data)
        return at

    # -- the beginning ----------------------------------------------------------------------------

    def _begin(self, head: bytes, *, eof: bool) -> int:
        """Bytes of the header; 0, and no layout, where there are too few yet."""
        if head[:2] == _SWAPPED and is_nfcapd(head):
            raise BadInputError("this nfdump file was written on a big-endian machine", _REMEDY)
        layout = struct.unpack_from("<H", head, 2)[0] if len(head) >= 4 else 0
        if len(head) < _HEADERS.get(layout, 4) or not is_nfcapd(head):
            if eof:
                self._tally.add("cut", 1, 1, "the header of an nfdump file")
            return 0
        self._packed = self._packing(head, layout)
        if self._packed == _LZO:
            raise BadInputError("this nfdump file is packed with LZO, which is not read here", _REMEDY)
        if self._packed not in (_PLAIN, *_NAMES):
            raise BadInputError(f"this nfdump file is packed in a way ({self._packed}) that is not known", _REMEDY)
        self._layout = layout
        return _HEADERS[layout]

    @staticmethod
    def _packing(head: bytes, layout: int) -> int:
        if layout == 1:
            flags = struct.unpack_from("<I", head, 4)[0]
            return _LZO if flags & 1 else _BZ2 if flags & 8 else _LZ4 if flags & 16 else _PLAIN
        if head[17]:
            raise BadInputError("this nfdump file is encrypted", _REMEDY)
        return head[16]

    # -- blocks -----------------------------------------------------------------------------------

    def _block(self, packed: Bytes, kind: int, flags: int) -> None:
        plain = flags & 1 if self._layout == 2 else flags != 2
        data = packed if self._packed == _PLAIN or plain else self._unpacked(packed)
        if data is None:
            return
        if self._layout == 2 and kind == 3:
            self._two(data)
        elif self._layout == 1 and kind == 2:
            self._one(data)
        elif self._layout == 1 and kind == 1:
            self._tally.add("telemetry_malformed", 1, self.blocks, "blocks of nfdump 1.5, which are not read")

    def _unpacked(self, packed: Bytes) -> Bytes | None:
        try:
            return np.frombuffer(_UNPACK[self._packed](packed.tobytes()), np.uint8)
        except Exception as error:  # each library has its own; what the bytes are not is all they say
            name = _NAMES[self._packed]
            self._tally.add(
                "telemetry_malformed", 1, self.blocks, f"{name} blocks that cannot be unpacked ({type(error).__name__})"
            )
            return None

    def _two(self, data: Bytes) -> None:
        at, sizes, _ = self._walk(data, {layout_two.RECORD: layout_two.HEADER})
        for start in range(0, len(at), _ROWS):
            part = slice(start, start + _ROWS)
            self._give(layout_two.decode(data, at[part], sizes[part], self.blocks, self._tally))

    def _one(self, data: Bytes) -> None:
        at, sizes, kinds = self._walk(data, layout_one.FLOWS)
        for kind in layout_one.FLOWS:
            mine = np.flatnonzero(kinds == kind)
            for start in range(0, len(mine), _ROWS):
                part = mine[start : start + _ROWS]
                args = (data, at[part], sizes[part], kind, self._maps, self.blocks, self._tally)
                self._give(layout_one.decode(*args))

    def _walk(self, data: Bytes, headers: dict[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Where the flow records of a block stand, their sizes and types. headers: the least size of each type.

        Maps on the way are learned; other records are stepped over; nothing is found behind one that tells no length.
        """
        found: list[tuple[int, int, int]] = []
        raw = data.tobytes()
        at, end, unpack = 0, len(raw), _RECORD.unpack_from
        while at + 4 <= end:
            kind, size = unpack(raw, at)
            if size < 4 or at + size > end:
                self._tally.add("telemetry_malformed", 1, self.blocks, "blocks whose records do not fit: the rest of them")
                break
            least = headers.get(kind)
            if least is not None:
                if size >= least:
                    found.append((at, size, kind))
                else:
                    self._tally.add("telemetry_malformed", 1, self.blocks, "records shorter than their header")
            elif kind == layout_one.MAP and self._layout == 1:
                self._maps.learn(raw[at : at + size])
            at += size
        columns = np.array(found, np.int64).reshape(-1, 3)
        return columns[:, 0].copy(), columns[:, 1].copy(), columns[:, 2].copy()

    def _give(self, rows: Rows) -> None:
        """Hand on rows. The clock by which flows end is the latest end seen: when a record came is when a replay ran."""
        if not len(rows):
            return
        self.records += len(rows)
        ends = np.maximum.accumulate(np.maximum(rows[:, r.END], rows[:, r.START]))
        rows[:, r.EXPORTED] = np.maximum(ends, self._clock)
        self._clock = int(rows[-1, r.EXPORTED])
        rows[:, r.EXPORTER], rows[:, r.MESSAGE] = self._exporter, self.blocks
        self._sink(rows)


def _unpack_bz2(packed: bytes) -> bytes:
    opened = bz2.BZ2Decompressor()
    data = opened.decompress(packed, LARGEST)
    if not opened.eof:
        raise ValueError("more than a block holds")
    return data


def _unpack_lz4(packed: bytes) -> bytes:
    import lz4.block

    data: bytes = lz4.block.decompress(packed, uncompressed_size=LARGEST)  # type: ignore[attr-defined]
    return data


def _unpack_zstd(packed: bytes) -> bytes:
    import zstandard

    with zstandard.ZstdDecompressor(max_window_size=LARGEST).stream_reader(packed) as opened:
        data: bytes = opened.read(LARGEST)  # not decompress(): that believes the size a frame tells of itself
    return data


_UNPACK: Final[dict[int, Callable[[bytes], bytes]]] = {_BZ2: _unpack_bz2, _LZ4: _unpack_lz4, _ZSTD: _unpack_zstd}
