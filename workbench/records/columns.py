"""The one list of columns: name, type, unit, meaning and privacy class of everything that is kept.

DDL, Arrow schemas, the filter language, table headings, docs/schema.md and docs/privacy.md are all
derived from it. Types are those that Parquet and other engines keep unchanged: signed integers,
double, boolean, text, blobs and UTC timestamps (microseconds).
"""

from __future__ import annotations

from typing import Final

from workbench.records.application import APPLICATION
from workbench.records.shape import Column, Privacy, Table, Type

__all__ = ["BY_NAME", "FLOWS", "SCHEMA_VERSION", "TABLES", "Column", "Privacy", "Table", "Type"]

_C, _A, _N, _L = Privacy.COUNT, Privacy.ADDRESS, Privacy.NAME, Privacy.LOCAL
_BIG, _INT, _DBL, _TXT, _BLOB, _TS, _BOOL = (
    Type.BIGINT,
    Type.INTEGER,
    Type.DOUBLE,
    Type.VARCHAR,
    Type.BLOB,
    Type.TIMESTAMP,
    Type.BOOLEAN,
)

FLOWS: Final = Table(
    "flows",
    "one row per bidirectional flow; the originator is src",
    (
        Column("flow_id", _BIG, "source_id << 40 | n, n dense within a source by first packet", null=False, heading="id"),
        Column("source_id", _BIG, "row of `sources`", null=False, heading="source"),
        Column("sensor", _TXT, "name of the observation point", privacy=_A, null=False),
        Column("network", _TXT, "tenant scope: '' untagged, vlan:100, vni:5001 and so on", privacy=_A, null=False),
        Column("ts", _TS, "first packet", "UTC", null=False, heading="start"),
        Column("ts_end", _TS, "last packet", "UTC", null=False, heading="end"),
        Column(
            "duration",
            _DBL,
            "first packet to last, without stragglers after TCP closed both ways, as Zeek",
            "s",
            null=False,
            heading="dur",
        ),
        Column("src_ip", _TXT, "originator's address, canonical text (RFC 5952)", privacy=_A, heading="source ip"),
        Column("dst_ip", _TXT, "responder's address, canonical text", privacy=_A, heading="dest ip"),
        Column("src_addr", _BLOB, "originator's address, 16 bytes, IPv4 mapped", privacy=_A),
        Column("dst_addr", _BLOB, "responder's address, 16 bytes, IPv4 mapped", privacy=_A),
        Column("src_port", _INT, "originator's port; ICMP: type", privacy=_A, heading="sport"),
        Column("dst_port", _INT, "responder's port; ICMP: counterpart type, or code where one-way", privacy=_A, heading="dport"),
        Column("proto", _INT, "IANA protocol number", null=False),
        Column("proto_name", _TXT, "protocol keyword as IANA writes it, lower case", null=False, heading="proto"),
        Column("src_mac", _TXT, "originator's MAC, innermost Ethernet header", privacy=_A),
        Column("dst_mac", _TXT, "responder's MAC, innermost Ethernet header", privacy=_A),
        Column("outer_src_mac", _TXT, "source MAC of the outermost Ethernet header, where tunnelled", privacy=_A),
        Column("outer_dst_mac", _TXT, "destination MAC of the outermost Ethernet header, where tunnelled", privacy=_A),
        Column("vlan", _INT, "first tag of the innermost Ethernet header", privacy=_A),
        Column("inner_vlan", _INT, "second tag of the innermost Ethernet header (QinQ)", privacy=_A),
        Column("outer_vlan", _INT, "first tag of the outermost Ethernet header, where tunnelled", privacy=_A),
        Column("tunnel", _TXT, "tunnels, innermost to outermost, such as erspan3/gre"),
        Column("vni", _INT, "innermost VXLAN, Geneve or NVGRE network id", privacy=_A),
        Column("outer_src_ip", _TXT, "tunnel endpoint on the originator's side", privacy=_A),
        Column("outer_dst_ip", _TXT, "tunnel endpoint on the responder's side", privacy=_A),
        Column("service", _TXT, "application protocol seen, not guessed from the port"),
        Column("conn_state", _TXT, "Zeek's connection state", heading="state"),
        Column("history", _TXT, "Zeek's history letters; upper case is the originator", heading="history"),
        Column("src_pkts", _BIG, "packets from the originator", "packets", null=False, heading="pkts>"),
        Column("dst_pkts", _BIG, "packets from the responder", "packets", null=False, heading="<pkts"),
        Column("src_bytes", _BIG, "IP bytes from the originator", "bytes", null=False, heading="bytes>"),
        Column("dst_bytes", _BIG, "IP bytes from the responder", "bytes", null=False, heading="<bytes"),
        Column(
            "src_payload", _BIG, "transport payload from the originator (TCP: by sequence numbers)", "bytes", heading="payload>"
        ),
        Column("dst_payload", _BIG, "transport payload from the responder", "bytes", heading="<payload"),
        Column("src_flags", _INT, "TCP flags seen from the originator, ORed"),
        Column("dst_flags", _INT, "TCP flags seen from the responder, ORed"),
        Column("rtt_us", _INT, "SYN to SYN+ACK as seen at the sensor", "us", heading="rtt"),
        Column("retransmits", _INT, "TCP segments sent again, both directions", "packets", heading="retx"),
        Column(
            "end_reason", _INT, "IPFIX flowEndReason: 1 idle, 2 active, 3 end seen, 4 forced, 5 no resources; null while open"
        ),
        Column("sampling", _INT, "1 in N; counts are as observed", null=False),
        Column("verdict", _TXT, "verdict in this row's own telemetry"),
        Column("rule_id", _TXT, "rule in this row's own telemetry"),
        Column("community_id", _TXT, "Community ID v1 of the innermost tuple", privacy=_A),
        Column("first_offset", _BIG, "where its first packet's record starts in the (decompressed, joined) source", "bytes"),
        Column("last_offset", _BIG, "where its last packet's record starts", "bytes"),
        Column("src_hi", _BIG, "originator's address: upper 64 bits of src_addr, two's complement; 0 for IPv4", privacy=_A),
        Column("src_lo", _BIG, "originator's address: lower 64 bits, two's complement", privacy=_A),
        Column("dst_hi", _BIG, "responder's address: upper 64 bits of dst_addr, two's complement; 0 for IPv4", privacy=_A),
        Column("dst_lo", _BIG, "responder's address: lower 64 bits, two's complement", privacy=_A),
    ),
    ("ts",),
)

FLOW_SLICES: Final = Table(
    "flow_slices",
    "one row a minute of a flow longer than 60 s, so that timelines are true",
    (
        Column("flow_id", _BIG, "row of `flows`", null=False),
        Column("ts", _TS, "start of the slice", "UTC", null=False),
        Column("src_pkts", _BIG, "packets from the originator", "packets", null=False),
        Column("dst_pkts", _BIG, "packets from the responder", "packets", null=False),
        Column("src_bytes", _BIG, "IP bytes from the originator", "bytes", null=False),
        Column("dst_bytes", _BIG, "IP bytes from the responder", "bytes", null=False),
    ),
    ("ts",),
)

FLOW_BLOCKS: Final = Table(
    "flow_blocks",
    "4 MiB blocks of the source that hold packets of a flow spanning over 64 MiB",
    (
        Column("flow_id", _BIG, "row of `flows`", null=False),
        Column("block", _BIG, "offset in the source divided by 4 MiB", null=False),
    ),
    ("flow_id",),
)

SOURCES: Final = Table(
    "sources",
    "where packets and records came from: a capture, a joined set, an exporter",
    (
        Column("source_id", _BIG, "counts from 1", null=False, heading="id"),
        Column("kind", _TXT, "pcap, pcapng or the telemetry format", null=False),
        Column("path", _TXT, "absolute path (a joined set: its first file), or - for standard input", privacy=_L, null=False),
        Column("sensor", _TXT, "name of the observation point", privacy=_A, null=False),
        Column(
            "sha256", _TXT, "of the file as it lies on disk (a joined set: of its first file); null with --hash off", privacy=_L
        ),
        Column("bytes", _BIG, "size on disk, all files", "bytes"),
        Column("packets", _BIG, "packets read", "packets", null=False),
        Column("flows", _BIG, "rows of `flows`", null=False),
        Column("ts_first", _TS, "earliest packet", "UTC"),
        Column("ts_last", _TS, "latest packet", "UTC"),
        Column("link_type", _TXT, "LINKTYPE names, comma separated"),
        Column("snaplen", _BIG, "longest snap length of its interfaces; null where unlimited", "bytes"),
        Column("dropped", _BIG, "packets the capturing side says it dropped; null where it says nothing", "packets"),
        Column("clock_offset_us", _BIG, "this sensor's clock minus the reference clock", "us"),
        Column("clock_error_us", _BIG, "error of that", "us"),
        Column("state", _TXT, "indexing, ok, partial or refused", null=False),
        Column("key_scope", _TXT, "both, vni, vlan or none: what besides the 5-tuple keyed its flows"),
        Column("bpf", _TXT, "capture filter applied while indexing", privacy=_L),
        Column("mtime_ns", _BIG, "modification time of its first file, to know it again", "ns since 1970", privacy=_L),
        Column("detail", _TXT, "why it is partial or refused"),
        Column("clock_drift_ppm", _DBL, "how much this clock gains on the reference clock", "us/s"),
        Column("clock_at", _TS, "when by this sensor's clock the offset holds; before and after it drifts", "UTC"),
        Column("clock_reference", _BIG, "row of `sources` whose clock is the reference; its own offset is 0"),
        Column("clock_flows", _BIG, "conversations that the offset was told from"),
    ),
)

SOURCE_FILES: Final = Table(
    "source_files",
    "the files of a source, in order",
    (
        Column("source_id", _BIG, "row of `sources`", null=False),
        Column("n", _INT, "counts from 0", null=False),
        Column("path", _TXT, "absolute path", privacy=_L, null=False),
        Column("sha256", _TXT, "of the file as it lies on disk; null with --hash off", privacy=_L),
        Column("bytes", _BIG, "size on disk", "bytes"),
        Column("first_offset", _BIG, "where its decompressed bytes start in the joined source", "bytes", null=False),
        Column("mtime_ns", _BIG, "modification time, to know it again; null where not noted", "ns since 1970", privacy=_L),
    ),
)

SOURCE_BLOCKS: Final = Table(
    "source_blocks",
    "places where a source can be entered: the first packet record that starts in each 4 MiB block",
    (
        Column("source_id", _BIG, "row of `sources`", null=False),
        Column("block", _BIG, "offset in the (decompressed, joined) source divided by 4 MiB", null=False),
        Column("record_offset", _BIG, "where that record starts in the source", "bytes", null=False),
        Column("frame", _BIG, "its frame number, from 1", null=False),
        Column("ts_ns", _BIG, "its time", "ns since 1970", null=False),
        Column("section_offset", _BIG, "where the pcapng section it lies in starts; null for pcap", "bytes"),
        Column("interfaces", _INT, "interfaces of that section described before it", null=False),
    ),
    ("source_id", "block"),
)

LEDGER: Final = Table(
    "ledger",
    "what was not decoded, not seen, or done on the way; every answer is read beside it",
    (
        Column("source_id", _BIG, "row of `sources`", null=False, heading="source"),
        Column("reason", _TXT, "one word; docs/ledger.md lists them", null=False),
        Column("kind", _TXT, "undecoded, unseen or note", null=False),
        Column("count", _BIG, "packets (bytes where the reason says so)", null=False),
        Column("first_frames", _TXT, "numbers of the first frames concerned, from 1, comma separated"),
        Column("detail", _TXT, "what exactly: types, ranges, words", privacy=_L),
    ),
)

ARP: Final = Table(
    "arp",
    "ARP requests and replies (RFC 826)",
    (
        Column("source_id", _BIG, "row of `sources`", null=False),
        Column("ts", _TS, "packet time", "UTC", null=False),
        Column("network", _TXT, "tenant scope, as in `flows`", privacy=_A, null=False),
        Column("operation", _INT, "1 request, 2 reply, others as IANA lists them", null=False),
        Column("src_mac", _TXT, "sender hardware address", privacy=_A),
        Column("src_ip", _TXT, "sender protocol address", privacy=_A),
        Column("dst_mac", _TXT, "target hardware address", privacy=_A),
        Column("dst_ip", _TXT, "target protocol address", privacy=_A),
        Column("eth_src", _TXT, "source of the Ethernet header, which a forger need not match", privacy=_A),
        Column("eth_dst", _TXT, "destination of the Ethernet header", privacy=_A),
        Column("vlan", _INT, "first tag", privacy=_A),
        Column("record_offset", _BIG, "where its record starts in the source", "bytes"),
    ),
    ("ts",),
)

TUNNELS: Final = Table(
    "tunnels",
    "the outer side of tunnelled traffic: one row per endpoints, kind and network id",
    (
        Column("source_id", _BIG, "row of `sources`", null=False),
        Column("tunnel", _TXT, "tunnels, innermost to outermost", null=False),
        Column("vni", _INT, "innermost network id", privacy=_A),
        Column("outer_src_ip", _TXT, "sending endpoint", privacy=_A, null=False),
        Column("outer_dst_ip", _TXT, "receiving endpoint", privacy=_A, null=False),
        Column("ts_first", _TS, "first packet", "UTC", null=False),
        Column("ts_last", _TS, "last packet", "UTC", null=False),
        Column("packets", _BIG, "packets of that direction", "packets", null=False),
        Column("bytes", _BIG, "frame bytes on the wire of that direction", "bytes", null=False),
    ),
    ("ts_first",),
)

INTERFACE_COUNTERS: Final = Table(
    "interface_counters",
    "what switches count at their interfaces, as their sFlow agents tell; the counts go on from one row to the next",
    (
        Column("source_id", _BIG, "row of `sources`", null=False),
        Column("ts", _TS, "when it was told", "UTC", null=False),
        Column("agent", _TXT, "address of the agent", privacy=_A, null=False),
        Column("if_index", _BIG, "number of the interface there", null=False),
        Column("speed", _BIG, "null where not told", "bits/s"),
        Column("in_bytes", _BIG, "bytes that came in", "bytes"),
        Column("in_pkts", _BIG, "packets that came in: to one, many or all", "packets"),
        Column("in_discards", _BIG, "of those that came in, dropped without being wrong", "packets"),
        Column("in_errors", _BIG, "of those that came in, damaged", "packets"),
        Column("out_bytes", _BIG, "bytes that went out", "bytes"),
        Column("out_pkts", _BIG, "packets that went out", "packets"),
        Column("out_discards", _BIG, "packets to go out that were dropped", "packets"),
        Column("out_errors", _BIG, "packets that could not go out", "packets"),
    ),
    ("ts",),
)

LINKS: Final = Table(
    "links",
    "flows that are parts of one conversation: stitched halves, or one flow seen at several sensors",
    (
        Column("flow_id", _BIG, "row of `flows`", null=False),
        Column(
            "conversation_id",
            _BIG,
            "flow_id of the flow that stands for it: the first half; of several sightings the one with most packets",
            null=False,
        ),
        Column(
            "cause", _TXT, "half: the other direction lies under another network; sensor: seen at another point too", null=False
        ),
    ),
    ("flow_id",),
)

_WHO: Final = (
    Column(
        "uid", _TXT, "what its manager calls it for ever (a pod's uid, a VM's UUID); else made of origin and name", privacy=_N
    ),
    Column("name", _TXT, "its name", privacy=_N),
    Column("namespace", _TXT, "namespace, project or tenant that the name is in", privacy=_N),
    Column("kind", _TXT, "pod, vm, container, host, node, service, nat or name (of DNS); of workloads many, too", null=False),
    Column("node", _TXT, "machine that it runs on", privacy=_N),
    Column("labels", _TXT, "JSON object of text to text, keys sorted", privacy=_N),
)

CLAIMS: Final = Table(
    "claims",
    "evidence of who held an address: one row per origin, owner and address, as that origin told it; never changed",
    (
        Column("source_id", _BIG, "row of `sources` that it is from", null=False),
        *_WHO,
        Column("network", _TXT, "tenant scope, as in `flows`; null: the origin can't know it, any", privacy=_A),
        Column("ip", _TXT, "the address, canonical text; null: an end of everything that the uid holds", privacy=_A),
        Column("hi", _BIG, "the address: upper 64 bits of 16 bytes, two's complement; 0 for IPv4", privacy=_A),
        Column("lo", _BIG, "the address: lower 64 bits, two's complement", privacy=_A),
        Column("mac", _TXT, "MAC address", privacy=_A),
        Column("ts_from", _TS, "held from then on; null: not known, before ts_to or ever", "UTC"),
        Column("ts_to", _TS, "held until then, exclusive; null: no end known", "UTC"),
        Column(
            "ts_seen",
            _TS,
            "when the origin said so: of two claims of one origin, uid, address and beginning the later said counts",
            "UTC",
        ),
        Column("origin", _TXT, "arp, nd, dhcp, dns, kubernetes, hubble, ovn, libvirt, csv", null=False),
        Column("confidence", _DBL, "0 to 1; docs/identity.md says what each origin is worth", null=False),
        Column("detail", _TXT, "what was said, in short", privacy=_N),
    ),
    ("ts_from",),
)

WORKLOADS: Final = Table(
    "workloads",
    "who held which address when: intervals that don't overlap per network and address; several rows of one are its claimants",
    (
        Column(
            "workload_id", _BIG, "counts from 1; a row's own, `uid` is what the same workload shares", null=False, heading="id"
        ),
        *_WHO,
        Column(
            "network", _TXT, "tenant scope, as in `flows`; null: any, where none that is named is claimed as strongly", privacy=_A
        ),
        Column("ip", _TXT, "the address, canonical text", privacy=_A, null=False),
        Column("hi", _BIG, "the address: upper 64 bits of 16 bytes, two's complement; 0 for IPv4", privacy=_A, null=False),
        Column("lo", _BIG, "the address: lower 64 bits, two's complement", privacy=_A, null=False),
        Column("mac", _TXT, "MAC address", privacy=_A),
        Column("ts_from", _TS, "from then on; null: since ever", "UTC", heading="from"),
        Column("ts_to", _TS, "until then, exclusive; null: no end known", "UTC", heading="to"),
        Column("claimants", _INT, "workloads that claim this interval with equal right; above 1 nobody knows", null=False),
        Column("origin", _TXT, "origins of its claims, comma separated", null=False),
        Column("confidence", _DBL, "0 to 1, of the strongest of its claims", null=False),
    ),
    ("hi", "lo", "ts_from"),
)

FLOW_IDENTITY: Final = Table(
    "flow_identity",
    "who the ends of a flow were when it began; flows of which neither end is claimed are not listed",
    (
        Column("flow_id", _BIG, "row of `flows`", null=False),
        Column("src_wid", _BIG, "row of `workloads` that held src; null: nobody, or several"),
        Column("dst_wid", _BIG, "row of `workloads` that held dst; null: nobody, or several"),
        Column("ambiguous", _BOOL, "whether several claim one of the ends with equal right", null=False),
        Column("src_claimants", _INT, "how many claim src", null=False),
        Column("dst_claimants", _INT, "how many claim dst", null=False),
    ),
    ("flow_id",),
)

HOST_EVENTS: Final = Table(
    "host_events",
    "what agents on DPUs saw inside hosts: processes, connections, attestations; joined to flows by address, port and time",
    (
        Column("source_id", _BIG, "row of `sources`", null=False),
        Column("ts", _TS, "when it happened", "UTC"),
        Column("host", _TXT, "the host or workload, as the agent names it", privacy=_N),
        Column("uid", _TXT, "the workload's unique id, where told", privacy=_N),
        Column("kind", _TXT, "process, connection, attestation, module, file, container, alert or other", null=False),
        Column("severity", _TXT, "as the agent says"),
        Column("activity", _TXT, "what the agent calls it"),
        Column("process", _TXT, "name of the process", privacy=_N),
        Column("pid", _BIG, "its id", privacy=_L),
        Column("sha256", _TXT, "of its executable", privacy=_N),
        Column(
            "command_hash", _TXT, "HMAC-SHA-256 of its command line under the case's key, 32 hex digits", privacy=Privacy.HASHED
        ),
        Column("result", _TXT, "attestation: pass or fail; else what the agent says"),
        Column("proto", _INT, "IANA protocol number of a connection"),
        Column("local_ip", _TXT, "this end of a connection", privacy=_A),
        Column("local_port", _INT, "its port", privacy=_A),
        Column("remote_ip", _TXT, "the other end", privacy=_A),
        Column("remote_port", _INT, "its port", privacy=_A),
        Column("conn_state", _TXT, "state of the connection, as the host has it"),
        Column("message_id", _TXT, "the agent's id of the message, to know it again", privacy=_L),
        Column("detail", _TXT, "what else was said, in short", privacy=_N),
    ),
    ("ts",),
)

FINDINGS: Final = Table(
    "findings",
    "what detections found: one row per detection, subject and object; written anew when a detection runs again",
    (
        Column(
            "finding_id", _TXT, "16 hex digits of SHA-256 over detection, subject and object: the same after a rerun", null=False
        ),
        Column("detection", _TXT, "id of the detection (queries/detections)", null=False),
        Column("title", _TXT, "title of the detection", null=False),
        Column("severity", _TXT, "info, low, medium, high or critical", null=False),
        Column("ts_first", _TS, "first packet of the evidence", "UTC", null=False, heading="first"),
        Column("ts_last", _TS, "last packet of the evidence", "UTC", null=False, heading="last"),
        Column("subject", _TXT, "who: an address, a pair, a host", privacy=_A, null=False),
        Column("object", _TXT, "to whom or what", privacy=_A),
        Column("score", _DBL, "0 to 1: how far past the detection's limits", null=False),
        Column("flow_ids", _TXT, "JSON array: evidence in `flows`, the earliest 1,000", null=False),
        Column("flows", _BIG, "how many flows there are behind it", null=False),
        Column("attack", _TXT, "ATT&CK techniques, comma separated", null=False),
        Column("state", _TXT, "open: as it was found; what people decided since is in case.sqlite", null=False),
        Column("why", _TXT, "one sentence with the numbers", privacy=_A, null=False),
        Column("evidence", _TXT, "JSON object: the detection's other columns", privacy=_A, null=False),
        Column("found", _TS, "when the detection ran", "UTC", null=False),
        Column("parameters", _TXT, "JSON object: the parameters it ran with", null=False),
    ),
)

FINDING_FLOWS: Final = Table(
    "finding_flows",
    "the flows behind each finding, at most 1,000 of each: what the filter field `finding` looks into",
    (
        Column("finding_id", _TXT, "row of `findings`", null=False),
        Column("flow_id", _BIG, "row of `flows`", null=False),
    ),
)

VERDICTS: Final = Table(
    "verdicts",
    "what a device said it did with a flow, learned apart from the flow's own telemetry: from rules that tell, logs, counters",
    (
        Column("flow_id", _BIG, "row of `flows`", null=False),
        Column("ts", _TS, "when the device decided, or told", "UTC", null=False),
        Column("verdict", _TXT, "allow, deny or reject", null=False),
        Column("rule_id", _TXT, "`policy/rule` that decided; null: the device did not say"),
        Column("origin", _TXT, "ovs-ipfix, nft-log, and so on: how it was told", null=False),
        Column("target", _TXT, "the target that said so, as settings name it", privacy=_L),
        Column("digest", _TXT, "SHA-256 of the bundle that was in force there", privacy=_L),
        Column("packets", _BIG, "packets that this verdict was told of; null: not told", "packets"),
    ),
    ("flow_id",),
)

RULE_COUNTERS: Final = Table(
    "rule_counters",
    "what a device counts for each rule that was pushed to it; the counts go on from one row to the next until `since` changes",
    (
        Column("target", _TXT, "the target, as settings name it", privacy=_L, null=False),
        Column("ts", _TS, "when it was asked", "UTC", null=False),
        Column("since", _TS, "when these rules were loaded: counts begin then", "UTC"),
        Column("digest", _TXT, "SHA-256 of the bundle in force", privacy=_L),
        Column("rule_id", _TXT, "`policy/rule`", null=False),
        Column("verdict", _TXT, "allow, deny or reject", null=False),
        Column("packets", _BIG, "packets that met the rule; what hardware forwards may be missing", "packets"),
        Column("bytes", _BIG, "their bytes", "bytes"),
        Column("offload", _TXT, "off, on or unknown: whether hardware may have taken packets past these counts", null=False),
    ),
    ("ts",),
)

TABLES: Final[tuple[Table, ...]] = (
    FLOWS,
    FLOW_SLICES,
    FLOW_BLOCKS,
    SOURCES,
    SOURCE_FILES,
    SOURCE_BLOCKS,
    LEDGER,
    ARP,
    TUNNELS,
    INTERFACE_COUNTERS,
    LINKS,
    CLAIMS,
    WORKLOADS,
    FLOW_IDENTITY,
    HOST_EVENTS,
    FINDINGS,
    FINDING_FLOWS,
    VERDICTS,
    RULE_COUNTERS,
    *APPLICATION,
)
BY_NAME: Final[dict[str, Table]] = {t.name: t for t in TABLES}

#: Grows by one with every change of the tables; `store` migrates older cases.
SCHEMA_VERSION: Final = 7
