"""What the writer writes reads back through our own framer, whatever it is given."""

import io
import struct

from hypothesis import given
from hypothesis import strategies as st

from tests.capture_files import blocks_of, options_of
from tests.decode.wire import read
from workbench.decode.framing import Interface
from workbench.export.pcapng import PcapngWriter

TEXTS = st.text(max_size=60)
INTERFACES = st.lists(
    st.tuples(
        st.integers(0, 65535),
        st.integers(0, 262144),
        TEXTS,
        TEXTS,
        st.sampled_from([1, 1000, 10**6, 10**9, 10**12, 2**20]),
        st.lists(TEXTS, max_size=3),
    ),
    min_size=1,
    max_size=4,
)
PACKETS = st.lists(
    st.tuples(
        st.integers(0, 2**62), st.binary(max_size=200), st.integers(0, 2**32 - 1), st.lists(TEXTS, max_size=3), st.integers(0, 3)
    ),
    max_size=8,
)


@given(INTERFACES, PACKETS)
def test_what_is_written_reads_back(interfaces: list[tuple], packets: list[tuple]) -> None:  # type: ignore[type-arg]
    out = io.BytesIO()
    writer = PcapngWriter(out, application="workbench test")
    for link, snaplen, name, description, tsresol, comments in interfaces:
        writer.interface(link, snaplen, name, description, tsresol, comments)
    for ts, data, wire, comments, number in packets:
        writer.packet(number % len(interfaces), ts, data, wire, comments)
    assert writer.bytes == len(out.getvalue())
    framer, rows, found = read(out.getvalue())
    assert framer.ledger() == [line for line in framer.ledger() if line.reason == "comments"]
    assert framer.interfaces == [
        Interface(link, snaplen, name, description, tsresol if tsresol in (1, 1000, 10**6, 10**9) else 10**9, 0, tuple(comments))
        for link, snaplen, name, description, tsresol, comments in interfaces
    ]
    assert found == [data for _, data, *_ in packets]
    for row, (ts, _data, wire, _comments, number) in zip(rows, packets, strict=True):
        unit = writer.unit(number % len(interfaces))
        assert (int(row["ts"]), int(row["wire"]), int(row["iface"])) == (ts // unit * unit, wire, number % len(interfaces))


def test_it_says_which_program_wrote_it_and_nothing_else() -> None:
    out = io.BytesIO()
    PcapngWriter(out, application="workbench 1.2")
    ((kind, body),) = blocks_of(out.getvalue())
    assert kind == 0x0A0D0D0A
    assert body[:16] == struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    assert options_of(body[16:]) == [(4, b"workbench 1.2")]


def test_text_that_is_too_long_or_no_text_is_cut_where_a_character_ends() -> None:
    out = io.BytesIO()
    writer = PcapngWriter(out, application="x")
    writer.packet(writer.interface(1, name="ü" * 40_000), 0, b"", 0, ["\udce9"])
    (_, described), (_, packet) = blocks_of(out.getvalue())[1:]
    name = dict(options_of(described[8:]))[2]
    assert name.decode() == "ü" * 32_766
    assert options_of(packet[20:]) == [(1, b"?")]
