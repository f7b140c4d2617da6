"""Why fields, services and fingerprints differ, found by looking; docs/conformance.md shows each beside its difference."""

from __future__ import annotations

from typing import Final

_NO_BYTES: Final = "the snap length ends within the request's head, of which tshark shows what is there"

#: (table, capture): cause. A capture may end in `*`.
FIELDS: Final[dict[tuple[str, str], str]] = {
    (
        "dns",
        "ipfixprobe/netbios.pcap",
    ): "tshark writes what no letter is in a NetBIOS name in angle brackets; the bytes are the same",
    ("dns", "zeek/traces/dns/loc-29-trunc.pcap"): (
        "query and answer have different VLANs, hence two flows here: the answer is a row without a time"
    ),
    ("dns", "zeek/traces/quic/vector-max-size-crash.pcap"): (
        "bytes of QUIC that tshark takes for DNS because of the port; as DNS they are malformed"
    ),
    ("http", "arkime/CVE-2018-6794.pcap"): (
        "two requests are sent again (frames 28 and 29) after their connection had closed: flows, and requests, of their own here"
    ),
    ("http", "arkime/wireshark-retrans.pcap"): "tshark shows an answer that was sent again twice",
    ("http", "communityid/*"): _NO_BYTES,
    ("http", "suricata/http-range-file/input.pcap"): (
        "the first answer's head came behind its body (frame 7 behind 6): read in order here, continuations to tshark"
    ),
    ("http", "suricata/output-eve-anomaly-02/input.pcap"): (
        "a client speaks HTTP to an SSH server: tshark goes by the port and shows encrypted bytes"
    ),
    ("http", "zeek/traces/http/methods.pcap"): (
        "a request of a method alone (`OPTIONS`), which is not taken for HTTP; of `OPTIONS HTTP/1.1` tshark takes the version"
        " for the path"
    ),
    ("http", "zeek/traces/http/query-method*"): "tshark 4.0 does not know the method QUERY and shows only half of the exchange",
    ("ssh", "zeek/traces/ssh/kex-quadratic-1000.pcap.gz"): (
        "key exchanges of 40,577 bytes (RFC 4253, 6.1, has 35,000 read): a direction keeps 8 KiB of one, and half a list gives"
        " no hash; what follows is read"
    ),
    ("dcerpc", "arkime/dcerpc_synthetic.pcap"): "generated flows without SMB on SMB's port; tshark reads some of their PDUs only",
    ("dcerpc", "attack/zerologon/CVE-2020-1472_exploit_win2019.pcap"): (
        "a request that is only there as it was sent again, which tshark does not dissect; it shows its answer"
    ),
    ("dhcp", "tcpdump/rx_serviceid_oobr.pcap"): "a malformed packet of AFS between DHCP's ports, which tshark shows as DHCP",
}

#: (table, capture) whose values that only this program shows are in the packets, looked up there: they don't count as differing.
PROVEN: Final = frozenset(
    {
        ("http", "arkime/CVE-2018-6794.pcap"),
        ("http", "suricata/http-range-file/input.pcap"),
        ("http", "suricata/output-eve-anomaly-02/input.pcap"),
    }
)

#: (program, what it says, what we say; * = anything): cause.
SERVICES: Final[dict[tuple[str, str, str], str]] = {
    ("Zeek", "dns", "llmnr"): "Zeek calls DNS, mDNS, LLMNR and NetBIOS names dns",
    ("Zeek", "", "telnet"): "Zeek's telnet analyzer was not loaded in that run; the options are there",
    ("Zeek", "", "http"): "the run's script loads no HTTP analyzer (bare mode); the request is there",
    ("nDPI", "FTP_DATA", ""): "a file on a connection of its own: its content is anything, what announced it is another flow",
    ("nDPI", "DNScrypt", ""): "no answer of the resolver in that flow; a query begins with a key that only the resolver knows",
    ("nDPI", "DNScrypt", "dns"): "the resolver's certificate is asked for by DNS, in plain: it is DNS that is spoken",
    ("nDPI", "AVASTSecureDNS", "dns"): "DNS in form; what it carries is encrypted",
    ("nDPI", "DNS.*", "dns"): "DNS",
    ("nDPI", "RTP", ""): "RTP says too little to be known by; nDPI follows the numbers of several packets",
}

#: (capture, fingerprint): cause.
PRINTS: Final[dict[tuple[str, str], str]] = {
    ("suricata/bug-5713-01/TLSv1-Extracted-MaliciousC2.pcap", "t10i070600_c50f5591e341_ce66f3b797c1"): (
        "a hello without signature algorithms: FoxIO's text has the string end without an underscore then (c39ab67fec8e, which"
        " tshark's fields give too); Suricata hashes it with one"
    ),
}

#: Why nDPI's other JA4 are not ours: it publishes them, and JA4_CHECK.tsv finds that tshark's fields don't give them.
NOT_STANDARD: Final = (
    "nDPI's own making: the first two letters of the ALPN (`ht`, `h3`) instead of the first and last, `d` or `i` not by SNI"
)


def cause_of_fields(table: str, capture: str) -> str:
    """The cause; not known where none is written down."""
    for (named, where), cause in FIELDS.items():
        if named == table and (capture == where or (where.endswith("*") and capture.startswith(where[:-1]))):
            return cause
    return "**not known**"


def cause_of_service(program: str, theirs: str, ours: str) -> str:
    """The cause; not known where none is written down."""
    for (named, said, heard), cause in SERVICES.items():
        same = theirs == said or (said.endswith("*") and theirs.startswith(said[:-1]))
        if named == program and same and heard in ("*", ours):
            return cause
    return "**not known**"
