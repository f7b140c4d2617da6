"""nfdump's files against nfdump itself: what it prints of a file is what is read here, in both layouts and however packed."""

from __future__ import annotations

import ipaddress
import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import needs
from tests.decode.nfdump.files import FLOWS, block, extension_map, layout_one, record
from workbench.decode.nfdump.reader import LARGEST, Reader, is_nfcapd
from workbench.decode.telemetry.tallying import Tally
from workbench.errors import BadInputError
from workbench.records import telemetry as r


def read(data: bytes, step: int = 0) -> tuple[list[list[int]], Tally]:
    """All rows of a file, fed at once or in pieces of `step` bytes."""
    rows: list[list[int]] = []
    tally = Tally()
    reader = Reader(3, tally, lambda found: rows.extend(found.tolist()))
    reader.start_file()
    left = b""
    for at in range(0, len(data), step or max(1, len(data))):
        left += data[at : at + (step or len(data))]
        done = reader.take(np.frombuffer(left, np.uint8), eof=False)
        left = left[done:]
    reader.take(np.frombuffer(left, np.uint8), eof=True)
    assert reader.records == len(rows)
    return rows, tally


def address(row: list[int], side: str) -> str:
    high, low = row[r.SRC_HI if side == "src" else r.DST_HI], row[r.SRC_LO if side == "src" else r.DST_LO]
    whole = (high & (1 << 64) - 1) << 64 | low & (1 << 64) - 1
    mapped = ipaddress.IPv6Address(whole)
    return str(mapped.ipv4_mapped or mapped)


def told(row: list[int]) -> tuple[Any, ...]:
    """What nfdump's JSON tells of a record."""
    ends = (address(row, "src"), address(row, "dst"), row[r.SRC_PORT], row[r.DST_PORT], row[r.PROTO])
    vlan, out = max(row[r.VLAN], 0), (max(row[r.REVERSE_PKTS], 0), max(row[r.REVERSE_BYTES], 0))
    return (*ends, row[r.PKTS], row[r.BYTES], row[r.START] // 10**6, row[r.END] // 10**6, vlan, *out)


def printed(path: Path) -> list[tuple[Any, ...]]:
    """What nfdump prints of a file, in the form of `told`."""
    text = subprocess.run(["nfdump", "-r", str(path), "-o", "json"], capture_output=True, text=True, check=True).stdout
    found = []
    for one in json.loads(text):
        at = [np.datetime64(one[name], "ms").astype(int).item() for name in ("first", "last")]
        ends = [str(ipaddress.ip_address(one.get(f"{side}4_addr") or one[f"{side}6_addr"])) for side in ("src", "dst")]
        port = one["icmp_type"] << 8 | one["icmp_code"] if one["proto"] in (1, 58) else one["dst_port"]
        ports = (0 if one["proto"] in (1, 58) else one["src_port"], port, one["proto"])
        counts = (one["in_packets"], one["in_bytes"], *at, one.get("src_vlan", 0))
        found.append((*ends, *ports, *counts, one.get("out_packets", 0), one.get("out_bytes", 0)))
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same flows as nfdump 1.6 lays them out, and as the nfdump here writes them anew, by packing."""
    folder = tmp_path_factory.mktemp("nfdump")
    first = folder / "one"
    first.write_bytes(layout_one(FLOWS))
    found = {"one": first}
    for name, flag in (("plain", []), ("lz4", ["-y"]), ("bz2", ["-j"]), ("lzo", ["-z"])):
        found[name] = folder / name
        command = ["nfdump", "-q", *flag, "-r", str(first), "-w", str(found[name])]
        subprocess.run(command, check=True, capture_output=True)
    return found


@needs.program("nfdump")
@pytest.mark.parametrize("name", ["one", "plain", "lz4", "bz2"])
def test_rows_are_those_that_nfdump_prints(written: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    rows, tally = read(written[name].read_bytes())
    assert [told(row) for row in rows] == printed(written[name])
    assert len(rows) == len(FLOWS)
    assert tally.ledger() == []
    assert {row[r.EXPORTER] for row in rows} == {3}
    assert rows[5][r.VERDICT] == r.DENIED


@needs.program("nfdump")
def test_lzo_is_refused_with_what_to_do(written: dict[str, Path]) -> None:
    with pytest.raises(BadInputError, match="LZO") as caught:
        read(written["lzo"].read_bytes())
    assert "nfdump -r" in str(caught.value.remedy)


def test_both_widths_of_the_old_header_are_read() -> None:
    assert [told(row) for row in read(layout_one(FLOWS, kind=1))[0]] == [told(row) for row in read(layout_one(FLOWS))[0]]


def test_pieces_of_a_file_are_as_the_whole() -> None:
    whole, _ = read(layout_one(FLOWS))
    assert len(whole) == len(FLOWS)
    assert read(layout_one(FLOWS), step=7)[0] == whole


def test_a_cut_file_keeps_its_whole_blocks() -> None:
    data = layout_one(FLOWS) + block(record(FLOWS[0]))
    rows, tally = read(data[:-5])
    assert len(rows) == len(FLOWS)
    assert [line.reason for line in tally.ledger()] == ["cut"]


def test_records_without_their_map_are_counted() -> None:
    rows, tally = read(layout_one([]) + block(record(FLOWS[2]), record(FLOWS[2])))
    assert rows == []
    assert [(line.reason, line.count, line.detail) for line in tally.ledger()] == [("template_missing", 2, "extension map 1")]


def test_what_stands_behind_a_record_without_length_is_counted_and_the_next_block_read() -> None:
    bad = block(extension_map(0), struct.pack("<HH", 10, 0), record(FLOWS[0]))
    rows, tally = read(layout_one([]) + bad + block(record(FLOWS[0])))
    assert len(rows) == 1
    assert tally.count("telemetry_malformed") == 1


def test_a_block_that_tells_of_gigabytes_is_not_waited_for() -> None:
    rows, tally = read(layout_one(FLOWS) + struct.pack("<IIHH", 1, LARGEST + 1, 2, 1) + bytes(40), step=100)
    assert len(rows) == len(FLOWS)
    assert tally.count("damaged") > 0


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (struct.pack(">HH", 0xA50C, 2) + bytes(300), "big-endian"),
        (struct.pack("<HHIQBB", 0xA50C, 2, 0, 0, 0, 1) + bytes(300), "encrypted"),
        (struct.pack("<HHIQBB", 0xA50C, 2, 0, 0, 9, 0) + bytes(300), "not known"),
    ],
)
def test_files_that_are_not_read_say_why(head: bytes, why: str) -> None:
    assert is_nfcapd(head)
    with pytest.raises(BadInputError, match=why):
        read(head)


def element(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, 4 + len(body)) + body


def layout_two(*records: bytes, packed: int = 0) -> bytes:
    head = struct.pack("<HHIQBBHIQII", 0xA50C, 2, 0, 0, packed, 0, 0, 0, 0, 1 << 20, 1)
    return head + block(*records, kind=3)


def third(*elements: bytes, count: int | None = None, flags: int = 0) -> bytes:
    body = b"".join(elements)
    return struct.pack("<HHHBBHBB", 11, 12 + len(body), len(elements) if count is None else count, 0, 0, 9, flags, 1) + body


GENERIC = element(1, struct.pack("<5QHHBBBB", 1_773_533_400_000, 1_773_533_401_000, 0, 5, 500, 1000, 443, 6, 2, 64, 0))
IPV4 = element(2, struct.pack("<II", 0x0A000001, 0x0A000002))


def test_elements_that_few_files_have_are_read() -> None:
    layer2 = element(38, struct.pack("<4HIIQHB5x", 0, 0, 0, 0, 1, 2, 5001, 0x0800, 4))
    nsel = element(19, struct.pack("<QIHBB", 1_773_533_400_000, 1, 0, 3, 0))
    misc = element(4, struct.pack("<IIBBBBBBH", 3, 4, 24, 24, 0, 0, 1, 3, 0))
    rule = element(37, struct.pack("<BBBBIIII4s", 1, 0, 0, 0, 77, 0, 0, 0, b"em0\0"))
    macs = element(15, struct.pack("<QQQQ", 0x0200_0000_0001, 0, 0x0200_0000_0002, 0))
    (row,), tally = read(layout_two(third(misc, layer2, IPV4, nsel, macs, rule, element(99, b"??"), GENERIC)))
    assert (row[r.VNI], row[r.IN_IF], row[r.REASON], row[r.BIFLOW], row[r.RULE]) == (5001, 3, 3, 1, 77)
    assert (row[r.SRC_MAC], row[r.DST_MAC]) == (0x0200_0000_0001, 0x0200_0000_0002)
    assert row[r.DOMAIN] == 9
    assert tally.ledger() == []


def test_records_that_contradict_themselves_or_name_nobody_are_counted() -> None:
    over = struct.pack("<HH", 2, 400)
    rows, tally = read(
        layout_two(third(GENERIC, IPV4), third(GENERIC), third(IPV4, GENERIC, over), third(GENERIC, IPV4, flags=2))
    )
    assert len(rows) == 3
    told = {line.reason: line.count for line in tally.ledger()}
    assert told == {"telemetry_malformed": 1, "records_unkeyed": 1, "sampled": 1}


@pytest.mark.parametrize("packed", [2, 3, 4])
def test_a_block_that_cannot_be_unpacked_is_counted(packed: int) -> None:
    rows, tally = read(
        layout_two(third(GENERIC, IPV4), packed=packed).replace(struct.pack("<HH", 3, 1), struct.pack("<HH", 3, 0))
    )
    assert rows == []
    assert tally.count("telemetry_malformed") == 1


def test_a_bomb_is_not_unpacked() -> None:
    import bz2

    bomb = bz2.compress(bytes(LARGEST + 1))
    head = layout_two(packed=2)[:40]
    rows, tally = read(head + struct.pack("<IIHH", 1, len(bomb), 3, 0) + bomb)
    assert rows == []
    assert tally.count("telemetry_malformed") == 1


WHOLE = [layout_one(FLOWS), layout_two(*[third(GENERIC, IPV4)] * 5), layout_two(third(GENERIC, IPV4), packed=3)]


@settings(max_examples=150)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=12),
    st.integers(0, 600),
    st.binary(max_size=60),
)
def test_mutated_files_give_rows_or_reasons(data: bytes, edits: list[tuple[int, int]], cut: int, tail: bytes) -> None:
    changed = bytearray(data)
    for at, value in edits:
        changed[at % len(changed)] = value
    try:
        rows, _ = read(bytes(changed[: len(changed) - cut]) + tail)
    except BadInputError:
        return
    assert len(rows) <= len(changed)
    for row in rows:
        assert row[r.PKTS] >= 0
        assert row[r.BYTES] >= 0
        assert row[r.START] >= 0
