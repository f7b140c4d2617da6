from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.decode.application.tls_wire import (
    CHANGE,
    DATA,
    DONE,
    P256,
    RETRY,
    X25519,
    alert,
    alpn,
    certificates,
    client_hello,
    extension,
    flows,
    formats,
    groups,
    handshake,
    listed,
    messages,
    numbers,
    record,
    server_hello,
    signatures,
    sni,
    versions,
)
from workbench.decode.application import tls_names
from workbench.decode.application.protocol import Context
from workbench.decode.application.tls import PROTOCOL
from workbench.decode.application.tls_certificates import Certificate, dotted, read
from workbench.decode.application.tls_reader import TlsReader, offered
from workbench.decode.application.tls_seen import Seen, Spread

BROWSER = client_hello(
    extension(0x1A1A),
    sni(b"www.example.org"),
    groups(0x2A2A, X25519, P256),
    formats(0),
    alpn(b"h2", b"http/1.1"),
    signatures(0x0403, 0x0804),
    versions(0x3A3A, 0x0304, 0x0303),
    extension(0xFE0D, bytes(8)),
    ciphers=(0x0A0A, 0x1301, 0xC02F),
)
OLDER = client_hello(sni(b"old.example.org"), groups(P256), formats(0, 1), ciphers=(0xC02F, 0x002F))


@cache
def certificate(subject: str, issuer: str, names: tuple[str, ...] = ()) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string(subject))
        .issuer_name(x509.Name.from_rfc4514_string(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC))
        .not_valid_after(datetime(2051, 1, 1, tzinfo=UTC))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def told(client: bytes | None, server: bytes | None, port: int = 443) -> dict[str, object]:
    """The one row of a handshake."""
    said = [(5, side, data) for side, data in enumerate((client, server)) if data is not None]
    (row,) = listed(TlsReader().read(*messages(*said, port=port), flows([5])).tables["tls"])
    return row


def test_a_handshake_of_tls_1_3_is_one_row() -> None:
    server = server_hello(extension(43, numbers(0x0304)), extension(51, numbers(X25519) + bytes(34)))
    row = told(record(22, BROWSER) + CHANGE + DATA, record(22, server) + CHANGE + DATA)
    ja3 = b"771,4865-49199,0-10-11-16-13-43-65037,29-23,0"
    assert row == {
        "n": 5,
        "ts": 1_000_000,
        "version": "TLSv1.3",
        "sni": "www.example.org",
        "alpn": "h2,http/1.1",
        "cipher": "TLS_AES_128_GCM_SHA256",
        "ja3": hashlib.md5(ja3).hexdigest(),
        "ja4": "t13d0207h2_"
        + hashlib.sha256(b"1301,c02f").hexdigest()[:12]
        + "_"
        + hashlib.sha256(b"000a,000b,000d,002b,fe0d_0403,0804").hexdigest()[:12],
        "ja3s": hashlib.md5(b"771,4865,43-51").hexdigest(),
        "group_name": "x25519",
        "resumed": False,
        "ech": True,
        "established": True,
    }


def test_a_handshake_of_tls_1_2_shows_its_certificate() -> None:
    leaf = certificate("CN=www.example.org,O=Example\\, Inc.,C=CH", "CN=CA", ("www.example.org", "example.org"))
    flight = server_hello(alpn(b"h2"), cipher=0xC02F) + certificates(leaf, certificate("CN=CA", "CN=CA"))
    flight += handshake(12, b"\x03" + numbers(P256) + bytes(70)) + DONE
    row = told(record(22, OLDER) + CHANGE, record(22, flight) + CHANGE)
    assert row["version"] == "TLSv1.2"
    assert row["cipher"] == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert row["alpn"] == "h2"
    assert row["group_name"] == "secp256r1"
    assert row["cert_subject"] == x509.load_der_x509_certificate(leaf).subject.rfc4514_string()
    assert row["cert_issuer"] == "CN=CA"
    assert row["cert_san"] == "www.example.org,example.org"
    assert row["cert_sha256"] == hashlib.sha256(leaf).hexdigest()
    assert row["cert_not_before"] == datetime(2024, 1, 2, 3, 4, 5)
    assert row["cert_not_after"] == datetime(2051, 1, 1)
    assert row["cert_self_signed"] is False
    assert row["cert_count"] == 2
    assert row["resumed"] is False
    assert row["ech"] is False
    assert row["established"] is True


def test_a_hello_over_several_records_is_joined() -> None:
    split = b"".join(record(22, BROWSER[at : at + 40]) for at in range(0, len(BROWSER), 40))
    assert told(split + CHANGE, None)["ja4"] == told(record(22, BROWSER), None)["ja4"]


def test_resumption_is_told_by_what_the_server_leaves_out() -> None:
    short = record(22, server_hello(cipher=0xC02F)) + CHANGE
    assert told(record(22, OLDER) + CHANGE, short)["resumed"] is True
    assert "resumed" not in told(record(22, OLDER), record(22, server_hello(cipher=0xC02F)))
    again = server_hello(extension(43, numbers(0x0304)), extension(41, b"\0\0"))
    assert told(record(22, BROWSER), record(22, again))["resumed"] is True


def test_a_retry_says_its_group_but_not_whether_it_resumes() -> None:
    retry = server_hello(extension(43, numbers(0x0304)), extension(51, numbers(P256)), random=RETRY)
    row = told(record(22, BROWSER) + CHANGE, record(22, retry) + CHANGE)
    assert row["group_name"] == "secp256r1"
    assert "resumed" not in row
    second = server_hello(extension(43, numbers(0x0304)), extension(51, numbers(P256) + bytes(67)))
    assert told(record(22, BROWSER), record(22, retry + second))["resumed"] is False


def test_an_alert_ends_an_attempt() -> None:
    row = told(record(22, OLDER), alert(40))
    assert row["alert"] == "handshake_failure"
    assert row["version"] == "TLSv1.2"
    assert row["established"] is False
    assert "cipher" not in row
    row = told(alert(48), record(22, server_hello(cipher=0x2F)))
    assert (row["alert"], row["cipher"]) == ("unknown_ca", "TLS_RSA_WITH_AES_128_CBC_SHA")


def test_a_client_shows_its_certificate() -> None:
    mine = certificate("CN=device 7", "CN=CA")
    row = told(record(22, OLDER) + record(22, certificates(mine)) + CHANGE, None)
    assert row["client_cert_subject"] == "CN=device 7"
    assert "cert_subject" not in row


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"h2", "h2"),
        (b"http/1.1", "h1"),
        (b"q", "qq"),
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"0\xab", "3b"),
        (b"0\xab\xcd1", "01"),
        (b"", "00"),
        (b"\x1a\x1a", "00"),
    ],
)
def test_ja4_shows_the_ends_of_the_first_protocol(name: bytes, shown: str) -> None:
    ja4 = told(record(22, client_hello(alpn(name))), None)["ja4"]
    assert str(ja4)[8:10] == shown


@pytest.mark.parametrize(
    ("version", "offers", "letters", "name"),
    [
        (0x0300, (), "s3", "SSLv3"),
        (0x0301, (), "10", "TLSv1.0"),
        (0x0302, (), "11", "TLSv1.1"),
        (0x0002, (), "s2", "SSLv2"),
        (0xFEFD, (), "d2", "DTLSv1.2"),
        (0xFEFF, (), "d1", "DTLSv1.0"),
        (0xFEFC, (), "d3", "DTLSv1.3"),
        (0x0303, (0x7F12,), "00", "TLSv1.3-draft-18"),
        (0x0303, (0x0A0A, 0x0303, 0x0304), "13", "TLSv1.3"),
        (0x0777, (), "00", "0x0777"),
    ],
)
def test_versions_have_names(version: int, offers: tuple[int, ...], letters: str, name: str) -> None:
    row = told(record(22, client_hello(*([versions(*offers)] if offers else []), version=version)), None)
    assert str(row["ja4"])[1:3] == letters
    assert row["version"] == name


def test_empty_lists_have_the_fingerprint_of_nothing() -> None:
    row = told(record(22, client_hello(ciphers=(0x0A0A,))), None)
    assert row["ja4"] == "t12i000000_000000000000_000000000000"
    many = told(record(22, client_hello(ciphers=tuple(range(0x100, 0x100 + 300)))), None)
    assert str(many["ja4"])[4:6] == "99"


def test_draft_18_has_neither_session_nor_compression() -> None:
    hello = handshake(2, numbers(0x7F12) + bytes(32) + numbers(0x1301) + numbers(40 >> 8, 40)[:0])
    hello = handshake(2, hello[4:] + len(extension(40, numbers(X25519))).to_bytes(2, "big") + extension(40, numbers(X25519)))
    row = told(record(22, client_hello(versions(0x7F12))), record(22, hello))
    assert (row["version"], row["cipher"], row["group_name"]) == ("TLSv1.3-draft-18", "TLS_AES_128_GCM_SHA256", "x25519")


def test_a_hello_in_the_form_of_ssl_2_is_known() -> None:
    body = b"\x01" + numbers(0x0301, 6, 0, 16) + bytes(6) + bytes(16)
    row = told((0x8000 | len(body)).to_bytes(2, "big") + body, record(22, server_hello(version=0x0301, cipher=5)))
    assert (row["version"], row["cipher"]) == ("TLSv1.0", "TLS_RSA_WITH_RC4_128_SHA")
    assert "ja3" not in row
    rows, arena = messages((1, 0, b"\x80\x2e\x01\x03\x01\x00\x05" + bytes(40)))
    assert TlsReader().read(rows, arena, flows([1])).seen.tolist() == [0]  # type: ignore[union-attr]


def test_halves_wait_for_each_other() -> None:
    reader = TlsReader()
    first = reader.read(*messages((1, 0, record(22, BROWSER)), (2, 0, record(22, OLDER))), flows([]))
    assert first.tables == {}
    second = reader.read(*messages((1, 1, record(22, server_hello(cipher=0xC02F)))), flows([]))
    (row,) = listed(second.tables["tls"])
    assert (row["n"], row["sni"], row["cipher"]) == (1, "www.example.org", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
    (row,) = listed(reader.read(*messages(), flows([2, 9])).tables["tls"])
    assert (row["n"], row["sni"]) == (2, "old.example.org")
    assert reader.read(*messages(), flows([1])).tables == {}


def test_what_waits_is_told_when_the_source_is_over() -> None:
    reader = TlsReader()
    assert not reader.read(*messages((1, 0, record(22, BROWSER))), flows([])).tables
    assert len(listed(reader.read(*messages(), flows([])).tables["tls"])) == 1
    assert reader.read(*messages(), flows([])).tables == {}


def test_halves_wait_half_a_minute() -> None:
    reader = TlsReader()
    assert not reader.read(*messages((1, 0, record(22, BROWSER)), ts=10), flows([])).tables
    (row,) = listed(reader.read(*messages((2, 0, record(22, OLDER)), ts=41), flows([])).tables["tls"])
    assert row["n"] == 1


def test_who_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.decode.application.tls_reader.MOST_WAITING", 3)
    said = [(n, 0, record(22, client_hello(sni(b"h%d" % n)))) for n in range(10)]
    assert len(listed(TlsReader().read(*messages(*said), flows([])).tables["tls"])) == 7


def test_two_of_a_kind_are_two_rows() -> None:
    rows = TlsReader().read(*messages((1, 0, record(22, BROWSER)), (1, 1, record(22, OLDER))), flows([1])).tables["tls"]
    assert {row["sni"] for row in listed(rows)} == {"www.example.org", "old.example.org"}


def test_contradicting_lengths_are_counted() -> None:
    wrong = client_hello(sni(b"x"))[:-1] + b"\xff\xff"
    overrun = handshake(1, OLDER[4:-3] + b"\xff\xff\xff")
    got = TlsReader().read(
        *messages((1, 0, record(22, overrun)), (2, 0, record(22, wrong)), (3, 0, b"GET / HT")), flows([1, 2, 3])
    )
    assert got.malformed >= 1
    assert got.seen is not None
    assert got.seen.tolist()[2] == 0


def test_many_flows_are_read_at_once_and_alike() -> None:
    said = [(n, side, data) for n in range(700) for side, data in enumerate((record(22, BROWSER), record(22, server_hello())))]
    table = listed(TlsReader().read(*messages(*said), flows(range(700))).tables["tls"])
    assert len(table) == 700
    assert {row["ja4"] for row in table} == {told(record(22, BROWSER), None)["ja4"]}
    assert [row["n"] for row in table] == list(range(700))


def test_what_is_remembered_is_bounded() -> None:
    seen: Seen[int] = Seen(4)
    keys = np.arange(1, 8, dtype=np.uint64)
    first = seen.numbers(keys, lambda row: row * 10)
    assert seen.numbers(keys[:2], lambda row: -1).tolist() == [0, 1]
    kept = seen.forget(np.array([-1, first[2], first[5]], np.int32))
    assert [seen.values[n] if n >= 0 else None for n in kept.tolist()] == [None, 20, 50]
    assert seen.numbers(np.array([3, 0, 9], np.uint64), lambda row: 99).tolist() == [kept[1], -1, 2]
    many = np.arange(1, 200, dtype=np.uint64)
    assert Seen[int]().numbers(many, lambda row: row).tolist() == list(range(199))
    assert Spread(np.array([-1, 2] * 50)).column(lambda i: str(i) if i >= 0 else None).to_pylist() == [None, "2"] * 50


def test_kubernetes_is_shown_by_names_and_certificates() -> None:
    def shown(client: bytes, server: bytes | None, port: int) -> list[dict[str, object]]:
        said = [(5, side, record(22, data)) for side, data in enumerate((client, server)) if data is not None]
        tables = TlsReader().read(*messages(*said, port=port), flows([5])).tables
        return [
            {k: v for k, v in row.items() if k not in ("n", "ts")} for row in listed(tables.get("kubernetes", {"n": np.empty(0)}))
        ]

    api = certificate("CN=kube-apiserver", "CN=kubernetes", ("kubernetes", "kubernetes.default.svc"))
    node = certificate("CN=system:node:worker-1,O=system:nodes", "CN=kubernetes")
    self_made = certificate("CN=worker-2@1700000000", "CN=worker-2-ca@1700000000")
    name = "kubernetes.default.svc.cluster.local"
    plain = client_hello()
    assert shown(client_hello(sni(name.encode())), None, 443) == [{"role": "api-server", "evidence": "sni", "name": name}]
    assert shown(client_hello(sni(b"hook.certs.svc")), None, 443)[0]["role"] == "webhook"
    (row,) = shown(plain, server_hello() + certificates(api), 6443)
    assert row == {"role": "api-server", "evidence": "san,port", "name": "kubernetes.default.svc"}
    (row,) = shown(plain, server_hello() + certificates(certificate("CN=x", "CN=kubernetes")), 6443)
    assert (row["role"], row["evidence"], row["name"]) == ("api-server", "issuer,port", "CN=kubernetes")
    (row,) = shown(plain, server_hello() + certificates(node), 10250)
    assert (row["role"], row["node"], row["evidence"]) == ("kubelet", "worker-1", "subject,port")
    (row,) = shown(plain, server_hello() + certificates(self_made), 10250)
    assert (row["role"], row["node"]) == ("kubelet", "worker-2")
    (row,) = shown(plain + certificates(node), server_hello() + certificates(certificate("CN=x", "CN=kubernetes")), 6443)
    assert (row["role"], row["node"], row["evidence"]) == ("api-server", "worker-1", "issuer,subject,port")
    assert shown(plain, server_hello() + certificates(certificate("CN=etcd-1", "CN=etcd-ca")), 2379)[0]["role"] == "etcd"
    assert shown(plain, server_hello() + certificates(certificate("CN=kube-etcd", "CN=x")), 1)[0]["role"] == "etcd"
    assert shown(plain + certificates(certificate("CN=system:kube-scheduler", "CN=x")), None, 1)[0]["role"] == "api-server"
    assert shown(plain, server_hello() + certificates(certificate("CN=x", "CN=kubernetes")), 443) == []
    assert shown(client_hello(sni(b"www.example.org")), None, 6443) == []


def test_names_are_written_as_rfc_4514_has_it() -> None:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, '#a,b+c"d\\e<f>g;'),
            x509.NameAttribute(NameOID.COMMON_NAME, " Zürich "),
            x509.NameAttribute(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), "x"),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(datetime(1999, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2049, 12, 31, tzinfo=UTC))
    names = [x509.RFC822Name("someone@example.org"), x509.UniformResourceIdentifier("spiffe://td/ns/a")]
    made = made.add_extension(x509.SubjectAlternativeName(names), critical=True)
    der = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    got = read(der)
    assert got.subject == name.rfc4514_string()
    assert got.self_signed is True
    assert got.san == "spiffe://td/ns/a"
    assert got.not_before == 915148800 * 10**6
    assert got.not_after == int(datetime(2049, 12, 31, tzinfo=UTC).timestamp()) * 10**6


def test_a_certificate_that_is_cut_says_what_is_there() -> None:
    der = certificate("CN=leaf.example.org", "CN=Some CA", ("leaf.example.org",))
    row = told(None, record(22, server_hello() + certificates(der))[:-140])
    assert (row["cert_issuer"], row["cert_subject"]) == ("CN=Some CA", "CN=leaf.example.org")
    assert "cert_sha256" not in row
    assert read(b"").subject is None
    assert read(b"nonsense").sha256 == hashlib.sha256(b"nonsense").hexdigest()
    assert isinstance(read(der[:100], whole=False), Certificate)
    assert dotted(b"\x2a\x86\x48") == "1.2.840"
    assert dotted(b"\x88\x37") == "2.999"
    assert dotted(b"\x80") == "0"


def test_numbers_without_a_name_are_hexadecimal() -> None:
    assert tls_names.suite(0xEEEE) == "0xeeee"
    assert tls_names.group(0xEEEE) == "0xeeee"
    assert tls_names.alert(255) == "255"
    assert tls_names.suite(-1) is tls_names.group(-1) is tls_names.alert(-1) is tls_names.version(-1) is None
    assert offered(b"\x02h2\x00\x05h") == "h2,h"


def test_the_protocol_makes_its_reader() -> None:
    assert PROTOCOL.batch is not None
    assert isinstance(PROTOCOL.batch(Context()), TlsReader)


FLIGHT = record(
    22, server_hello(extension(43, numbers(0x0304)), alpn(b"h2")) + certificates(certificate("CN=a", "CN=b", ("a",))) + DONE
)
READER = TlsReader()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([record(22, BROWSER) + CHANGE, FLIGHT + CHANGE, record(22, OLDER) + alert(40)]),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6),
    st.integers(0, 2000),
    st.binary(max_size=40),
)
def test_any_bytes_are_read_without_harm(valid: bytes, flips: list[tuple[int, int]], cut: int, spliced: bytes) -> None:
    data = bytearray(valid)
    for at, value in flips:
        data[at % len(data)] = value
    at = cut % (len(data) + 1)
    for mutant in (bytes(data), bytes(data[:at]), bytes(data[:at]) + spliced + bytes(data[at:])):
        got = READER.read(*messages((1, 0, mutant), (1, 1, FLIGHT)), flows([1]))
        for row in listed(got.tables["tls"]):
            assert all(len(value) <= 1024 for value in row.values() if isinstance(value, str))


def test_a_hello_of_thousands_of_suites_costs_no_more_than_its_size() -> None:
    hostile = record(22, client_hello(ciphers=tuple(range(8000, 0, -1))))
    began = time.process_time()
    for _ in range(20):
        READER.read(*messages((1, 0, hostile)), flows([1]))
    assert time.process_time() - began < 2  # a quadratic sort would take ten times that


def test_lies_about_where_bytes_are_do_no_harm() -> None:
    rows, arena = messages((1, 0, record(22, BROWSER)), (2, 0, record(22, OLDER)))
    rows["at"][0] = 10**9
    rows["size"][1] = 60_000
    assert READER.read(rows, arena, flows([1, 2])).seen.tolist() == [0, 0]  # type: ignore[union-attr]
