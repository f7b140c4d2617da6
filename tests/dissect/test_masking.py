from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.dissect import info, masking
from workbench.dissect.catalogue import Catalogue, build
from workbench.dissect.lines import line_from, node_from

FIELDS = [
    b"F\tStatus Code\thttp.response.code\tFT_UINT16\thttp\n",
    b"F\tRequest Method\thttp.request.method\tFT_STRING\thttp\n",
    b"F\tCookie\thttp.cookie\tFT_STRING\thttp\n",
    b"F\tLine\thttp.request.line\tFT_STRING\thttp\n",
    b"F\tType\teth.type\tFT_UINT16\teth\n",
    b"F\tSubject\tx509sat.uTF8String\tFT_STRING\tx509sat\n",
    b"F\tTotal Length\tip.len\tFT_STRING\tip\n",
    b"F\tcut\n",
    *(
        b"F\t%b\t%b\t%b\tframe\n" % (name, name, kind)
        for name, kind in ((b"frame.number", b"FT_UINT32"), (b"frame.len", b"FT_UINT32"))
    ),
    b"F\tp\tframe.protocols\tFT_STRING\tframe\n",
    b"F\tt\tframe.time_epoch\tFT_ABSOLUTE_TIME\tframe\n",
    *(
        b"F\tx\t%b\t%b\tip\n" % pair
        for pair in ((b"ip.src", b"FT_IPv4"), (b"ip.dst", b"FT_IPv4"), (b"tcp.srcport", b"FT_UINT16"))
    ),
    *(b"F\tx\t%b\tFT_UINT16\ttcp\n" % name for name in (b"tcp.dstport", b"tcp.flags", b"tcp.seq", b"tcp.ack", b"tcp.len")),
]
PROTOCOLS = [b"Hypertext Transfer Protocol\tHTTP\thttp\tT\tT\n", b"TLS\tTLS\ttls\n", b"TCP\tTCP\ttcp\n", b"short\n"]
VALUES = [
    b"V\teth.type\t0x800\tIPv4\n",
    b"R\thttp.response.code\t200\t299\tfine\n",
    b"V\thttp.cookie\t1\tno\n",
    b"V\teth.type\tx\ty\n",
]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(build("4.0.17", PROTOCOLS, FIELDS, VALUES))


def rows(catalogue: Catalogue, inner: str, *, unmask: bool = False) -> list[Any]:
    xml = f'<packet><proto name="geninfo"><field name="caplen" show="100"/></proto>{inner}</packet>'
    found = masking.rows(masking.parse(xml.encode()), catalogue, unmask=unmask)
    for row in found:
        node_from(row)
    return found


def test_the_catalogue_knows_names_values_and_what_is_missing(catalogue: Catalogue) -> None:
    assert catalogue.label("http.cookie") == "Cookie"
    assert [catalogue.label(name) for name in ("http.cooki", "http.cookie2", "", "zz", "a")] == [None] * 5
    assert catalogue.value("eth.type", "0x0800") == "IPv4"
    assert catalogue.value("http.response.code", "204") == "fine"
    assert catalogue.value("http.cookie", "1") == ""
    assert catalogue.value("eth.type", "words") == ""
    assert "ip.len" in catalogue.missing, "a field whose type is now text must not be shown"
    assert "udp.srcport" in catalogue.missing
    assert "eth.type" not in catalogue.missing


@pytest.mark.parametrize("data", [b"", b"{}", b"[]\n", b'{"form":0}\n', b"\xff\n"])
def test_what_is_no_catalogue_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        Catalogue(data)


def test_shown_masked_and_unnamed_fields(catalogue: Catalogue) -> None:
    (row,) = rows(
        catalogue,
        '<proto name="http" showname="HTTP S3CRET" size="40" pos="10">'
        '<field name="" show="GET /S3CRET" size="9" pos="10">'
        '<field name="http.request.method" show="GET" size="3" pos="10"/></field>'
        '<field name="http.response.code" showname="Code: S3CRET" show="204" size="3" pos="30"/>'
        '<field name="http.cookie" showname="Cookie: S3CRET" show="S3CRET" value="53" size="6" pos="99"/>'
        '<field name="http.request.line" hide="yes" show="S3CRET"/>'
        '<field name="made.up" show="S3CRET" size="1" pos="0"/>'
        "</proto>",
    )
    assert "S3CRET" not in json.dumps(row)
    assert row[:6] == ["http", "Hypertext Transfer Protocol", "", False, 10, 40]
    text, code, cookie, made_up = row[6]
    assert text[:4] == ["", "(text)", "(masked, 9 bytes)", True]
    assert text[6][0][:3] == ["http.request.method", "Request Method", "GET"]
    assert code[2] == "fine (204)"
    assert cookie[:6] == ["http.cookie", "Cookie", "(masked, 6 bytes)", True, -1, 6]
    assert made_up[:4] == ["", "(text)", "(masked, 1 byte)", True]


def test_unmasked_all_of_it_is_there(catalogue: Catalogue) -> None:
    (row,) = rows(
        catalogue,
        '<proto name="http"><field name="http.cookie" showname="Cookie: S3CRET" show="S3CRET" size="6"/></proto>',
        unmask=True,
    )
    assert row[6][0][:4] == ["http.cookie", "Cookie", "S3CRET", False]


def test_certificate_names_are_shown_inside_tls_only(catalogue: Catalogue) -> None:
    field = '<field name="x509sat.uTF8String" show="portal.example" size="4"/>'
    inside, outside = rows(
        catalogue, f'<proto name="tls"><proto name="x509sat">{field}</proto></proto><proto name="http">{field}</proto>'
    )
    assert inside[6][0][6][0][2] == "portal.example"
    assert outside[6][0][2] == "(masked, 4 bytes)"


def test_a_text_that_says_how_a_tree_is_built_counts_only_where_it_belongs(catalogue: Catalogue) -> None:
    field = '<field name="" show="Extension: server_name (len=9)" size="9"/>'
    tls, http = rows(catalogue, f'<proto name="tls">{field}</proto><proto name="http">{field}</proto>')
    assert tls[6][0][1] == "Extension: server_name (len=9)"
    assert http[6][0][1] == "(text)"


@pytest.mark.parametrize(
    "piece", [b"<packet>", b"<packet><x></packet>", b'<!DOCTYPE a [<!ENTITY b "c">]><packet>&b;</packet>', b"", b"\xff"]
)
def test_broken_xml_is_refused(piece: bytes) -> None:
    with pytest.raises(masking.PacketTooStrangeError):
        masking.parse(piece)


def test_a_tree_too_deep_or_too_large_is_cut(catalogue: Catalogue) -> None:
    deep = '<field name="eth.type" show="1">' * 500 + "</field>" * 500
    (row,) = rows(catalogue, f'<proto name="http">{deep}</proto>')
    depth = 0
    while row[6]:
        row, depth = row[6][0], depth + 1
    assert depth <= masking.DEPTH + 2
    many = '<field name="eth.type" show="1"/>' * (masking.NODES + 50)
    (row,) = rows(catalogue, f'<proto name="http">{many}</proto>')
    assert len(row[6]) <= masking.NODES + 1
    assert row[6][-1][1] == "(more was left out)"


@given(st.text(max_size=60))
def test_no_text_of_a_field_that_is_not_allowed_comes_through(secret: str) -> None:
    from xml.sax.saxutils import quoteattr

    made = Catalogue(build("4.0.17", PROTOCOLS, FIELDS, VALUES))
    packet = masking.parse(
        f'<packet><field name="http.cookie" show={quoteattr(secret)} size="3"/></packet>'.encode("utf-8", "replace")
    )
    assert masking.rows(packet, made, unmask=False)[0][2] in ("(masked, 3 bytes)", "")


def test_a_line_is_made_of_allowed_fields_only(catalogue: Catalogue) -> None:
    got = {
        "frame_number": ["7"],
        "frame_time_epoch": ["1700000000.123456789"],
        "frame_len": ["60"],
        "frame_protocols": ["eth:ethertype:ip:tcp:http"],
        "ip_src": ["10.0.0.1"],
        "ip_dst": ["10.0.0.2"],
        "tcp_srcport": ["4000"],
        "tcp_dstport": ["80"],
        "tcp_flags": ["0x0018"],
        "tcp_seq": ["1"],
        "tcp_ack": ["1"],
        "tcp_len": ["6"],
        "http_request_method": ["S3CRET"],
        "http_cookie": ["S3CRET"],
        "http_response_code": ["204"],
    }
    piece = json.dumps({"timestamp": "1", "layers": got}).encode()
    row = info.row(piece, catalogue)
    assert row is not None
    line = line_from(row)
    assert (line.number, line.ts_ns, line.src, line.dst, line.protocol, line.length) == (
        7,
        1_700_000_000_123_456_789,
        "10.0.0.1",
        "10.0.0.2",
        "HTTP",
        60,
    )
    assert line.info == "4000 → 80 [ACK, PSH] seq=1 ack=1 len=6 status fine"


@pytest.mark.parametrize(
    ("layers", "protocol"),
    [
        ("", "FRAME"),
        ("eth:ethertype", "ETH"),
        ("eth:ip:tcp:http:data", "HTTP"),
        ("eth:ip:tcp:tls:x509sat:x509sat", "TLS"),
        ("a:b", "B"),
    ],
)
def test_a_line_names_the_highest_protocol_that_says_something(layers: str, protocol: str, catalogue: Catalogue) -> None:
    row = info.row(json.dumps({"layers": {"frame_protocols": [layers]}}).encode(), catalogue)
    assert row is not None
    assert line_from(row).protocol == protocol


@pytest.mark.parametrize("piece", [b"", b"{}", b'{"layers":1}', b'{"layers":{"a":1}}', b"[" * 9999])
def test_what_is_no_line_is_left_out(piece: bytes, catalogue: Catalogue) -> None:
    assert info.row(piece, catalogue) is None


@given(
    st.dictionaries(
        st.sampled_from(["frame_number", "frame_time_epoch", "frame_len", "frame_protocols", "ip_src", "tcp_flags"]),
        st.lists(st.text()),
    )
)
def test_no_values_break_a_line(got: dict[str, list[str]]) -> None:
    made = Catalogue(build("4.0.17", PROTOCOLS, FIELDS, VALUES))
    row = info.row(json.dumps({"layers": got}).encode(), made)
    assert row is not None
    line_from(row)
