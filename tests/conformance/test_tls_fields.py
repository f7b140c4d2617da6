"""The tls and quic tables against what tshark shows of the same hellos; JA4 against one made of tshark's fields.

Compared are the first hello of either side of a stream, and the first certificate that a server sends. A message that tshark
cannot put together, since bytes of it are missing, is none of its own either.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import pytest

from tests import needs
from tests.conformance.captures import folder, read
from tests.conformance.fields import Agreement, Shown, asked
from workbench.decode.application import tls_names

CHOSEN = (
    "arkime/https-connect.pcap",
    "arkime/openssl-tls1_1.pcap",
    "ipfixprobe/tls.pcap",
    "ja4/chrome-cloudflare-quic-with-secrets.pcapng",
    "ndpi/discord.pcap",
    "ndpi/facebook.pcap",
    "ndpi/http_ipv6.pcap",
    "ndpi/ja3_lots_of_cipher_suites.pcap",
    "ndpi/nintendo.pcap",
    "ndpi/quic-28.pcap",
    "ndpi/quic_frags_ch_in_multiple_packets.pcapng",
    "ndpi/tls_1.3_unidirectional_server.pcapng",
    "ndpi/tls_unidirectional.pcap",
    "suricata/tls/tls13-draft18/tls13_draft18.pcap",
    "suricata/tls/tls13-draft28/tls13_draft28.pcap",
    "mercury/malware_tls.pcap",
    "mercury/tls_cnsa2_psk_short_binder.pcap",
    "zeek/traces/quic/chromium-115.0.5790.110-api-cirrus-com.pcap",
    "zeek/traces/quic/chromium-dpd-custom-port-4433.pcap",
    "zeek/traces/socks-with-ssl.pcap",
    "zeek/traces/tls/pop3-starttls.pcap",
    "zeek/traces/tls/smtp-starttls.pcap",
    "zeek/traces/tls/tls1.2.pcap",
    "zeek/traces/tls/tls1.2-late-protocol-error.pcap",
)
FIELDS = (
    "frame.number", "tcp.stream", "udp.stream", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport",
    "udp.srcport", "udp.dstport", "tls.handshake.type", "tls.handshake.ja3", "tls.handshake.ja3s",
    "tls.handshake.extensions_server_name", "tls.handshake.ciphersuite", "tls.handshake.version",
    "tls.handshake.extensions.supported_version", "tls.handshake.extensions_alpn_str", "tls.handshake.extension.type",
    "tls.handshake.sig_hash_alg", "tls.handshake.certificate",
)  # fmt: skip
SHOWN = "tls.handshake.type in {1, 2, 11} && !icmp && !dtls"
Key = tuple[str, str, str, str]


def _numbers(shown: Shown, name: str) -> list[int]:
    return [int(value, 0) for value in shown[name]]


def _meant(values: list[int]) -> list[int]:
    """Without the numbers that mean nothing (RFC 8701)."""
    return [v for v in values if not (v & 0x0F0F == 0x0A0A and v >> 8 == v & 0xFF)]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


def ja4(letter: str, shown: Shown) -> str:
    """JA4 as FoxIO's text has it, of what tshark shows of a ClientHello."""
    ciphers = _meant(_numbers(shown, "tls.handshake.ciphersuite"))
    kinds = _meant(_numbers(shown, "tls.handshake.extension.type"))
    offered = _meant(_numbers(shown, "tls.handshake.extensions.supported_version")) or [
        _numbers(shown, "tls.handshake.version")[0]
    ]
    version = {0x304: "13", 0x303: "12", 0x302: "11", 0x301: "10", 0x300: "s3", 2: "s2"}.get(max(offered), "00")
    first = (shown["tls.handshake.extensions_alpn_str"] or ["00"])[0]
    named = "d" if 0 in kinds else "i"
    head = f"{letter}{version}{named}{min(len(ciphers), 99):02}{min(len(kinds), 99):02}{first[0]}{first[-1]}"
    listed = ",".join(sorted(f"{kind:04x}" for kind in kinds if kind not in (0, 16)))
    signatures = ",".join(f"{s:04x}" for s in _meant(_numbers(shown, "tls.handshake.sig_hash_alg")))
    return "_".join(
        [
            head,
            _short(",".join(sorted(f"{cipher:04x}" for cipher in ciphers))),
            _short(f"{listed}_{signatures}" if signatures else listed),
        ]
    )


def _ends(shown: Shown) -> Key:
    """Addresses and ports of the innermost packet, sender first."""
    ip = "ipv6" if shown["ipv6.src"] else "ip"
    layer = "tcp" if shown["tcp.srcport"] else "udp"
    ends = (f"{ip}.src", f"{layer}.srcport", f"{ip}.dst", f"{layer}.dstport")
    return tuple(shown[name][-1] for name in ends)  # type: ignore[return-value]


def _client(where: str, row: dict[str, Any], shown: Shown, letter: str, agreed: Agreement) -> None:
    agreed.same(where, "ja3", row["ja3"], shown["tls.handshake.ja3"][0])
    agreed.same(where, "ja4", row["ja4"], ja4(letter, shown))
    agreed.same(where, "sni", row["sni"], (shown["tls.handshake.extensions_server_name"] or [None])[0])


def _server(where: str, row: dict[str, Any], shown: Shown, agreed: Agreement) -> None:
    agreed.same(where, "ja3s", row["ja3s"], shown["tls.handshake.ja3s"][0])
    agreed.same(where, "cipher", row["cipher"], tls_names.suite(_numbers(shown, "tls.handshake.ciphersuite")[0]))
    chosen = shown["tls.handshake.extensions.supported_version"] or shown["tls.handshake.version"]
    agreed.same(where, "version", row["version"], tls_names.version(int(chosen[0], 0)))


def compare(capture: str, tables: dict[str, list[dict[str, Any]]], shown: list[Shown], agreed: Agreement) -> None:
    """Stream by stream: the n-th of a tuple is our n-th row with it."""
    flows = {row["flow_id"]: row for row in tables["flows"]}
    rows: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(tables["tls"] + tables["quic"], key=lambda row: row["ts"]):
        flow = flows[row["flow_id"]]
        rows[flow["src_ip"], str(flow["src_port"]), flow["dst_ip"], str(flow["dst_port"])].append(row)
    seen: dict[str, set[int]] = defaultdict(set)
    mine: dict[str, dict[str, Any]] = {}
    for packet in shown:
        udp = not packet["tcp.stream"]
        stream = f"udp {packet['udp.stream'][0]}" if udp else packet["tcp.stream"][0]
        kinds = _numbers(packet, "tls.handshake.type")
        ends = _ends(packet)
        turned: Key = (*ends[2:], *ends[:2])  # type: ignore[assignment]
        if stream not in mine:
            key = ends if ends in rows else turned
            agreed.same(f"{capture} #{packet['frame.number'][0]}", "row", bool(rows.get(key)), True)
            if not rows.get(key):
                continue
            mine[stream] = rows[key].pop(0) if len(rows[key]) > 1 else rows[key][0]
        row, where = mine[stream], f"{capture} #{packet['frame.number'][0]}"
        fresh = set(kinds) - seen[stream]
        seen[stream] |= set(kinds)
        if kinds[0] == 1 and 1 in fresh:
            _client(where, row, packet, "q" if udp else "t", agreed)
        if 2 in fresh and not udp:
            _server(where, row, packet, agreed)
        if 11 in fresh and 1 not in kinds and packet["tls.handshake.certificate"] and 2 in seen[stream]:
            first = bytes.fromhex(packet["tls.handshake.certificate"][0].replace(":", ""))
            agreed.same(where, "cert_sha256", row["cert_sha256"], hashlib.sha256(first).hexdigest())


@needs.program("tshark")
@pytest.mark.conformance
def test_fields_agree_with_tshark() -> None:
    agreed = Agreement()
    for capture in CHOSEN:
        path = folder() / capture
        if path.exists():
            reading = read(capture)
            tables = {name: reading.rows(name) for name in ("flows", "tls", "quic")}
            shown = asked(path, SHOWN, FIELDS)
            compare(capture, tables, shown, agreed)
    agreed.demand()
