"""Information elements that become part of a flow: by IANA's names, and those of enterprises.

IANA's IPFIX registry, of which NetFlow 9's field types 1 to 127 are the beginning (RFC 3954, 8). Enterprises, by their private
enterprise numbers: 6876 VMware and, by its leave, Open vSwitch; 29305 the reverse direction of any IANA element (RFC 5103). What
is not listed is stepped over, and its number is told in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workbench.records import telemetry as r

VMWARE: Final = 6876
REVERSE: Final = 29305
PENSANDO: Final = 51886

# How the bytes of a field become numbers of a record; see `kernels`.
(
    SKIP,
    NUMBER,
    IP4,
    IP6,
    UPTIME,  # ms since the exporter started
    SECONDS,
    MILLIS,
    NTP,  # seconds since 1900 and a binary fraction
    BEFORE,  # us before the message was sent
    SEGMENT,  # layer2SegmentId: a type and 24 bits of network id
    STATUS,  # forwardingStatus
    EVENT,  # firewallEvent
    LOSS,  # a count whose being above zero is a verdict
    ICMP_TYPE,
    ICMP_CODE,
    BITS,  # TCP flags
    ICMP_BOTH,
    COUNTED,  # how often a TCP flag was seen: the first of six kinds, one a flag, FIN first
) = range(18)


@dataclass(frozen=True, slots=True)
class Element:
    """One element. slot: where its number goes; the first of several where it is an address. kind: how."""

    name: str
    kind: int = SKIP
    slot: int = -1
    rank: int = 0  # among elements of one slot the highest rank that a template has is kept


#: IANA's, by number. Those without a slot are read where options carry them, or are known not to matter here.
_IANA: Final[dict[int, Element]] = {
    1: Element("octetDeltaCount", NUMBER, r.BYTES, 3),
    2: Element("packetDeltaCount", NUMBER, r.PKTS, 3),
    4: Element("protocolIdentifier", NUMBER, r.PROTO),
    5: Element("ipClassOfService"),
    6: Element("tcpControlBits", BITS, r.FLAGS, 2),
    7: Element("sourceTransportPort", NUMBER, r.SRC_PORT, 2),
    8: Element("sourceIPv4Address", IP4, r.SRC_HI, 1),
    9: Element("sourceIPv4PrefixLength"),
    10: Element("ingressInterface", NUMBER, r.IN_IF),
    11: Element("destinationTransportPort", NUMBER, r.DST_PORT, 2),
    12: Element("destinationIPv4Address", IP4, r.DST_HI, 1),
    13: Element("destinationIPv4PrefixLength"),
    14: Element("egressInterface", NUMBER, r.OUT_IF),
    15: Element("ipNextHopIPv4Address"),
    16: Element("bgpSourceAsNumber"),
    17: Element("bgpDestinationAsNumber"),
    18: Element("bgpNextHopIPv4Address"),
    21: Element("flowEndSysUpTime", UPTIME, r.END, 1),
    22: Element("flowStartSysUpTime", UPTIME, r.START, 1),
    23: Element("postOctetDeltaCount", NUMBER, r.BYTES, 1),
    24: Element("postPacketDeltaCount", NUMBER, r.PKTS, 1),
    27: Element("sourceIPv6Address", IP6, r.SRC_HI, 2),
    28: Element("destinationIPv6Address", IP6, r.DST_HI, 2),
    29: Element("sourceIPv6PrefixLength"),
    30: Element("destinationIPv6PrefixLength"),
    31: Element("flowLabelIPv6"),
    32: Element("icmpTypeCodeIPv4", ICMP_BOTH, r.ICMP, 2),
    34: Element("samplingInterval", NUMBER, r.SAMPLING, 1),
    35: Element("samplingAlgorithm"),
    36: Element("flowActiveTimeout"),
    37: Element("flowIdleTimeout"),
    38: Element("engineType"),
    39: Element("engineId"),
    40: Element("exportedOctetTotalCount"),
    41: Element("exportedMessageTotalCount"),
    42: Element("exportedFlowRecordTotalCount"),
    48: Element("samplerId", NUMBER, r.SAMPLER, 1),
    49: Element("samplerMode"),
    50: Element("samplerRandomInterval", NUMBER, r.SAMPLING, 2),
    52: Element("minimumTTL"),
    53: Element("maximumTTL"),
    54: Element("fragmentIdentification"),
    55: Element("postIpClassOfService"),
    56: Element("sourceMacAddress", NUMBER, r.SRC_MAC, 2),
    57: Element("postDestinationMacAddress", NUMBER, r.DST_MAC, 1),
    58: Element("vlanId", NUMBER, r.VLAN, 2),
    59: Element("postVlanId"),
    60: Element("ipVersion"),
    61: Element("flowDirection", NUMBER, r.DIRECTION),
    62: Element("ipNextHopIPv6Address"),
    63: Element("bgpNextHopIPv6Address"),
    64: Element("ipv6ExtensionHeaders"),
    80: Element("destinationMacAddress", NUMBER, r.DST_MAC, 2),
    81: Element("postSourceMacAddress", NUMBER, r.SRC_MAC, 1),
    82: Element("interfaceName"),
    83: Element("interfaceDescription"),
    85: Element("octetTotalCount", NUMBER, r.TOTAL_BYTES),
    86: Element("packetTotalCount", NUMBER, r.TOTAL_PKTS),
    88: Element("fragmentOffset"),
    89: Element("forwardingStatus", STATUS, r.VERDICT, 2),
    95: Element("applicationId"),
    96: Element("applicationName"),
    128: Element("bgpNextAdjacentAsNumber"),
    129: Element("bgpPrevAdjacentAsNumber"),
    130: Element("exporterIPv4Address"),
    131: Element("exporterIPv6Address"),
    132: Element("droppedOctetDeltaCount"),
    133: Element("droppedPacketDeltaCount", LOSS, r.DROPPED),
    136: Element("flowEndReason", NUMBER, r.REASON),
    137: Element("commonPropertiesId"),
    138: Element("observationPointId", NUMBER, r.POINT),
    139: Element("icmpTypeCodeIPv6", ICMP_BOTH, r.ICMP, 2),
    143: Element("meteringProcessId"),
    144: Element("exportingProcessId"),
    145: Element("templateId"),
    148: Element("flowId"),
    149: Element("observationDomainId"),
    150: Element("flowStartSeconds", SECONDS, r.START, 2),
    151: Element("flowEndSeconds", SECONDS, r.END, 2),
    152: Element("flowStartMilliseconds", MILLIS, r.START, 4),
    153: Element("flowEndMilliseconds", MILLIS, r.END, 4),
    154: Element("flowStartMicroseconds", NTP, r.START, 5),
    155: Element("flowEndMicroseconds", NTP, r.END, 5),
    156: Element("flowStartNanoseconds", NTP, r.START, 6),
    157: Element("flowEndNanoseconds", NTP, r.END, 6),
    158: Element("flowStartDeltaMicroseconds", BEFORE, r.START, 3),
    159: Element("flowEndDeltaMicroseconds", BEFORE, r.END, 3),
    160: Element("systemInitTimeMilliseconds"),
    161: Element("flowDurationMilliseconds", NUMBER, r.DURATION),
    164: Element("ignoredPacketTotalCount"),
    165: Element("ignoredOctetTotalCount"),
    166: Element("notSentFlowTotalCount"),
    167: Element("notSentPacketTotalCount"),
    168: Element("notSentOctetTotalCount"),
    176: Element("icmpTypeIPv4", ICMP_TYPE, r.ICMP, 1),
    177: Element("icmpCodeIPv4", ICMP_CODE, r.ICMP, 1),
    178: Element("icmpTypeIPv6", ICMP_TYPE, r.ICMP, 1),
    179: Element("icmpCodeIPv6", ICMP_CODE, r.ICMP, 1),
    180: Element("udpSourcePort", NUMBER, r.SRC_PORT, 1),
    181: Element("udpDestinationPort", NUMBER, r.DST_PORT, 1),
    182: Element("tcpSourcePort", NUMBER, r.SRC_PORT, 1),
    183: Element("tcpDestinationPort", NUMBER, r.DST_PORT, 1),
    210: Element("paddingOctets"),
    218: Element("tcpSynTotalCount", COUNTED + 1, r.FLAGS, 1),
    219: Element("tcpFinTotalCount", COUNTED, r.FLAGS, 1),
    220: Element("tcpRstTotalCount", COUNTED + 2, r.FLAGS, 1),
    221: Element("tcpPshTotalCount", COUNTED + 3, r.FLAGS, 1),
    222: Element("tcpAckTotalCount", COUNTED + 4, r.FLAGS, 1),
    223: Element("tcpUrgTotalCount", COUNTED + 5, r.FLAGS, 1),
    224: Element("ipTotalLength"),
    225: Element("postNATSourceIPv4Address"),
    226: Element("postNATDestinationIPv4Address"),
    227: Element("postNAPTSourceTransportPort"),
    228: Element("postNAPTDestinationTransportPort"),
    231: Element("initiatorOctets", NUMBER, r.BYTES, 2),
    232: Element("responderOctets", NUMBER, r.REVERSE_BYTES, 2),
    233: Element("firewallEvent", EVENT, r.VERDICT, 3),
    234: Element("ingressVRFID", NUMBER, r.VRF),
    235: Element("egressVRFID"),
    239: Element("biflowDirection", NUMBER, r.BIFLOW),
    243: Element("dot1qVlanId", NUMBER, r.VLAN, 3),
    244: Element("dot1qPriority"),
    245: Element("dot1qCustomerVlanId", NUMBER, r.INNER_VLAN),
    246: Element("dot1qCustomerPriority"),
    254: Element("postDot1qVlanId"),
    256: Element("ethernetType"),
    258: Element("collectionTimeMilliseconds"),
    260: Element("maxExportSeconds"),
    261: Element("maxFlowEndSeconds"),
    298: Element("initiatorPackets", NUMBER, r.PKTS, 2),
    299: Element("responderPackets", NUMBER, r.REVERSE_PKTS, 2),
    302: Element("selectorId", NUMBER, r.SAMPLER, 2),
    304: Element("selectorAlgorithm"),
    305: Element("samplingPacketInterval"),
    306: Element("samplingPacketSpace"),
    309: Element("samplingSize"),
    310: Element("samplingPopulation"),
    311: Element("samplingProbability"),
    322: Element("observationTimeSeconds", SECONDS, r.START, 1),
    323: Element("observationTimeMilliseconds", MILLIS, r.START, 3),
    324: Element("observationTimeMicroseconds", NTP, r.START, 3),
    325: Element("observationTimeNanoseconds", NTP, r.START, 3),
    351: Element("layer2SegmentId", SEGMENT, r.VNI, 1),
    352: Element("layer2OctetDeltaCount", NUMBER, r.LINK_BYTES, 2),
    353: Element("layer2OctetTotalCount"),
}

_VMWARE: Final[dict[int, Element]] = {
    # The distributed switch: inside a VXLAN segment the tenant's packet is the flow, the outer addresses its tunnel.
    880: Element("tenantProtocol", NUMBER, r.PROTO, 2),
    881: Element("tenantSourceIPv4", IP4, r.SRC_HI, 3),
    882: Element("tenantDestIPv4", IP4, r.DST_HI, 3),
    883: Element("tenantSourceIPv6", IP6, r.SRC_HI, 4),
    884: Element("tenantDestIPv6", IP6, r.DST_HI, 4),
    886: Element("tenantSourcePort", NUMBER, r.SRC_PORT, 3),
    887: Element("tenantDestPort", NUMBER, r.DST_PORT, 3),
    888: Element("egressInterfaceAttr"),
    889: Element("vxlanExportRole"),
    890: Element("ingressInterfaceAttr"),
    # Open vSwitch.
    891: Element("tunnelType", NUMBER, r.TUNNEL),
    892: Element("tunnelKey", NUMBER, r.VNI, 2),
    893: Element("tunnelSourceIPv4Address", IP4, r.OUTER_SRC_HI),
    894: Element("tunnelDestinationIPv4Address", IP4, r.OUTER_DST_HI),
    895: Element("tunnelProtocolIdentifier"),
    896: Element("tunnelSourceTransportPort"),
    897: Element("tunnelDestinationTransportPort"),
    898: Element("virtualObsID"),
    950: Element("ruleId", NUMBER, r.RULE, 2),
    951: Element("vmUuid"),
    952: Element("vnicIndex"),
}

#: AMD Pensando's: named in the ledger's sense, with no column of ours to go to.
_PENSANDO: Final[dict[int, Element]] = {
    513: Element("flowStateIndex"),
    514: Element("flowRole"),
    515: Element("tcpState"),
    516: Element("tcpWindowMss"),
    517: Element("tcpExceptions"),
    518: Element("tcpRtt"),
}

#: Counters and flags of the other direction.
_REVERSED: Final[dict[int, int]] = {
    r.PKTS: r.REVERSE_PKTS,
    r.BYTES: r.REVERSE_BYTES,
    r.FLAGS: r.REVERSE_FLAGS,
    r.TOTAL_PKTS: r.TOTAL_REVERSE_PKTS,
    r.TOTAL_BYTES: r.TOTAL_REVERSE_BYTES,
}


def _reverse(element: Element) -> Element:
    name = "reverse" + element.name[0].upper() + element.name[1:]
    slot = _REVERSED.get(element.slot)
    return Element(name) if slot is None else Element(name, element.kind, slot, element.rank)


#: Every known element by (enterprise, number); IANA's enterprise is 0.
ELEMENTS: Final[dict[tuple[int, int], Element]] = {
    **{(0, n): e for n, e in _IANA.items()},
    **{(VMWARE, n): e for n, e in _VMWARE.items()},
    **{(PENSANDO, n): e for n, e in _PENSANDO.items()},
    **{(REVERSE, n): _reverse(e) for n, e in _IANA.items()},
}


def element_name(enterprise: int, number: int) -> str:
    """IANA's or the enterprise's name; enterprise:number where it is not known."""
    known = ELEMENTS.get((enterprise, number))
    return known.name if known is not None else f"{enterprise}:{number}"
