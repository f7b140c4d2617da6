"""Every reason a line of the ledger can have, in one list.

A packet that does not become part of a flow or of the `arp` table is counted under exactly one
`undecoded` reason, so that ``sources.packets = packets in flows + arp + undecoded`` always holds.
`unseen` says what could not be there (drops, snap length, cut files); `note` says what was done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["undecoded", "unseen", "note"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause. code: the number kernels write into PACKET.reason; 0 for reasons without packets."""

    name: str
    kind: Kind
    meaning: str
    code: int = 0


# Codes are what decode kernels write; they must stay below MAX_REASONS and never be reused.
LINK_TYPE: Final = 1
LINK_TRUNCATED: Final = 2
ETHERTYPE: Final = 3
LLC: Final = 4
VLAN_TRUNCATED: Final = 5
MPLS_TRUNCATED: Final = 6
MPLS_PAYLOAD: Final = 7
PPPOE_CONTROL: Final = 8
PPP_PROTOCOL: Final = 9
IP_TRUNCATED: Final = 10
IP_VERSION: Final = 11
IP_HEADER_LENGTH: Final = 12
IP_TOTAL_LENGTH: Final = 13
IP6_EXTENSION: Final = 14
TRANSPORT_TRUNCATED: Final = 15
TRANSPORT_MALFORMED: Final = 16
ARP_MALFORMED: Final = 17
TUNNEL_DEPTH: Final = 18
TUNNEL_TRUNCATED: Final = 19
EMPTY: Final = 20
FRAGMENT_ORPHAN: Final = 21
IP_CHECKSUM: Final = 22
LINK_CONTROL: Final = 23

MAX_REASONS: Final = 32

REASONS: Final[tuple[Reason, ...]] = (
    Reason("link_type", "undecoded", "the interface's link type is not one we decode", LINK_TYPE),
    Reason("link_truncated", "undecoded", "fewer bytes than a link header", LINK_TRUNCATED),
    Reason("ethertype", "undecoded", "an EtherType that carries no IP or ARP", ETHERTYPE),
    Reason("llc", "undecoded", "an IEEE 802.2 frame (spanning tree, IS-IS and the like)", LLC),
    Reason("vlan_truncated", "undecoded", "cut inside a VLAN tag", VLAN_TRUNCATED),
    Reason("mpls_truncated", "undecoded", "cut inside an MPLS label stack", MPLS_TRUNCATED),
    Reason("mpls_payload", "undecoded", "an MPLS payload that is neither IP nor Ethernet", MPLS_PAYLOAD),
    Reason("pppoe_control", "undecoded", "PPPoE discovery or PPP control traffic", PPPOE_CONTROL),
    Reason("ppp_protocol", "undecoded", "a PPP protocol that carries no IP", PPP_PROTOCOL),
    Reason("ip_truncated", "undecoded", "fewer bytes than an IP header", IP_TRUNCATED),
    Reason("ip_version", "undecoded", "the IP version is neither 4 nor 6", IP_VERSION),
    Reason("ip_header_length", "undecoded", "an IPv4 header length below 20 bytes or beyond the packet", IP_HEADER_LENGTH),
    Reason("ip_total_length", "undecoded", "an IP length smaller than its own header", IP_TOTAL_LENGTH),
    Reason("ip6_extension", "undecoded", "a malformed or cut chain of IPv6 extension headers", IP6_EXTENSION),
    Reason("transport_truncated", "undecoded", "fewer bytes than the transport header", TRANSPORT_TRUNCATED),
    Reason("transport_malformed", "undecoded", "a transport header that contradicts itself", TRANSPORT_MALFORMED),
    Reason("arp_malformed", "undecoded", "ARP that is not IPv4 over Ethernet, or is cut", ARP_MALFORMED),
    Reason("tunnel_depth", "undecoded", "more tunnels inside each other than are followed", TUNNEL_DEPTH),
    Reason("tunnel_truncated", "undecoded", "cut inside a tunnel header, with no outer flow to name", TUNNEL_TRUNCATED),
    Reason("empty", "undecoded", "a record without bytes", EMPTY),
    Reason("fragment_orphan", "undecoded", "a later IP fragment whose first was not seen", FRAGMENT_ORPHAN),
    Reason("ip_checksum", "undecoded", "an IPv4 header whose checksum is wrong", IP_CHECKSUM),
    Reason("link_control", "undecoded", "link-layer control traffic (LLDP, slow protocols, flow control)", LINK_CONTROL),
    Reason("snaplen", "unseen", "packets captured short; lengths come from their headers, later bytes were not seen"),
    Reason("dropped", "unseen", "packets the capturing side says it dropped"),
    Reason(
        "interface_dropped", "unseen", "packets that the interface, its driver or a full queue dropped while it was attached to"
    ),
    Reason("capture_gap", "unseen", "stretches in which nothing captured; detail says when and why"),
    Reason("far_unseen", "unseen", "what a capture at that port of the DPU can't show; detail says it in words"),
    Reason("own_connection", "unseen", "our own ssh connection to the DPU, left out of what is captured there"),
    Reason("coverage", "note", "packets that the captured ports counted meanwhile; detail says how many are here"),
    Reason("far_cost", "note", "captures on a DPU, one for each connection; detail is what the last one cost there"),
    Reason("open_lost", "unseen", "flows that were open when a decoding process died: kept as last seen, a second old at most"),
    Reason("retention", "note", "flows that were dropped for their age or for space, with what was said in them"),
    Reason(
        "evidence_dropped", "note", "bytes of evidence files dropped for their age or for space: packets cannot be shown again"
    ),
    Reason("evidence_failed", "unseen", "packets indexed but not kept, since evidence could not be written: when and why"),
    Reason("not_selected", "unseen", "frames that the capture filter given with --bpf leaves out; detail is the filter"),
    Reason(
        "not_selectable",
        "unseen",
        "frames of a link type that the filter given with --bpf cannot be said for; left out, detail is why",
    ),
    Reason("cut", "unseen", "the source ends inside a packet or block; what was there is indexed"),
    Reason("damaged", "unseen", "bytes that are no record; reading stopped or went on behind them"),
    Reason(
        "worker_died",
        "unseen",
        "a decoding process died; detail names the range it was on, count the bytes not read (0 when read again)",
    ),
    Reason("cancelled", "unseen", "indexing was cancelled; count is the bytes that were not read"),
    Reason("interrupted", "unseen", "the indexing process ended before this source was done; what was stored until then is kept"),
    Reason("read_error", "unseen", "the source could not be read further"),
    Reason("clock_back", "note", "packets whose time stamp is earlier than the one before"),
    Reason("checksum_bad", "note", "packets in flows whose transport checksum is wrong"),
    Reason("checksum_offloaded", "note", "packets whose transport checksum was left to the card; taken as good"),
    Reason("flow_table_full", "note", "flows closed early because the flow table reached its bound"),
    Reason("tunnels_full", "note", "tunnelled packets of endpoints beyond the bound of `tunnels`; they are in `flows`"),
    Reason("inner_undecoded", "note", "tunnelled packets whose inside cannot be decoded; counted in the outer flow"),
    Reason("application_malformed", "note", "messages that their application protocol does not allow; detail counts by protocol"),
    Reason("application_gap", "note", "directions whose application protocol was not read further: bytes are missing"),
    Reason("application_full", "note", "directions and readers given up because a bound of memory was reached"),
    Reason("application_failed", "note", "messages that a reader of ours failed on: a defect, please report it"),
    Reason("telemetry_read", "note", "flow records that exporters sent; detail: messages, templates and options beside them"),
    Reason("telemetry_malformed", "unseen", "messages or sets that contradict themselves; what stood before them is kept"),
    Reason("telemetry_lost", "unseen", "what an exporter numbered and did not arrive; detail: records or messages, by domain"),
    Reason("template_missing", "unseen", "data sets whose template did not arrive while they were held"),
    Reason("template_changed", "note", "templates that came again with other fields; data is read by the latest"),
    Reason("template_refused", "unseen", "templates that cannot be used: no bytes in a record, or more of them than are kept"),
    Reason("exporter_restarted", "note", "numbering that began anew: the exporter restarted, or messages came out of order"),
    Reason("exporter_refused", "unseen", "datagrams of exporters that are not on the list of those who may send; detail: whose"),
    Reason("exporters_full", "unseen", "messages of exporters beyond the bound on how many are followed"),
    Reason("sampled", "unseen", "flow records or packets of traffic sampled before it was counted; detail: 1 in N"),
    Reason("interface_losses", "unseen", "packets that interfaces discarded or found damaged, by an exporter's latest counters"),
    Reason("records_unkeyed", "unseen", "records that name no two addresses: no flows"),
    Reason("records_merged", "note", "records that are later pieces of a flow, cut by the exporter's active timeout"),
    Reason("records_unpaired", "note", "flows of which the exporter told one direction only"),
    Reason("fields_unknown", "note", "fields of templates that are not kept; detail: enterprise and number"),
    Reason("not_telemetry", "unseen", "packets or bytes that are no telemetry message of the format asked for"),
    Reason("lines_read", "note", "lines of a log that was imported; detail: how many rows of which table they gave"),
    Reason("bad_line", "unseen", "lines that cannot be read as what their file is; first_frames are numbers of lines, from 1"),
    Reason("duplicate_line", "note", "lines that came twice, and flows told twice; counted once, the first as it stood"),
    Reason("not_a_flow", "unseen", "lines that name no time, no two addresses or no protocol: no flows"),
    Reason("not_a_claim", "unseen", "lines or objects that tell of no owner or no address: no claims"),
    Reason("lines_unused", "unseen", "lines of kinds for which a case has no table; detail: how many of which"),
    Reason(
        "values_unread", "note", "values of lines that are not what their column holds; left out, the rest of the line is kept"
    ),
    Reason("flows_implied", "note", "flows known only by what was said in them: their packets and bytes are not told"),
    Reason("records_skipped", "unseen", "records that the recorder itself says it left out or had none of; detail says which"),
    Reason("observed_twice", "note", "flows that a second observation point told, too; linked as one conversation"),
    Reason("secrets_skipped", "note", "decryption secrets blocks that were not read"),
    Reason("blocks_skipped", "note", "pcapng blocks of an unknown type that were stepped over"),
    Reason("comments", "note", "comments in the capture"),
    Reason("half_flows", "note", "one-sided flows found to be halves of one conversation, by network"),
    Reason("duplicate_source", "note", "a source that the case already holds"),
)

BY_CODE: Final[dict[int, Reason]] = {r.code: r for r in REASONS if r.code}
BY_NAME: Final[dict[str, Reason]] = {r.name: r for r in REASONS}


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One line for the ledger of one source; first_frames are frame numbers from 1, at most five."""

    reason: str
    count: int
    first_frames: tuple[int, ...] = ()
    detail: str = ""

    def row(self, source_id: int) -> dict[str, int | str | None]:
        """The line as a row of `ledger`."""
        return {
            "source_id": source_id,
            "reason": self.reason,
            "kind": BY_NAME[self.reason].kind,
            "count": self.count,
            "first_frames": ",".join(map(str, self.first_frames)) or None,
            "detail": self.detail or None,
        }
