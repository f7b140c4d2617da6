"""Names of link types, as tcpdump.org/linktypes.html lists them (without the LINKTYPE_ prefix)."""

from __future__ import annotations

from typing import Final

_NAMES: Final[dict[int, str]] = {
    0: "NULL",
    1: "ETHERNET",
    9: "PPP",
    12: "RAW",
    14: "RAW",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    101: "RAW",
    104: "C_HDLC",
    105: "IEEE802_11",
    107: "FRELAY",
    108: "LOOP",
    113: "LINUX_SLL",
    117: "PFLOG",
    127: "IEEE802_11_RADIOTAP",
    166: "PPP_PPPD",
    204: "PPP_WITH_DIR",
    228: "IPV4",
    229: "IPV6",
    239: "NFLOG",
    258: "PKTAP",
    276: "LINUX_SLL2",
}
#: Every LINKTYPE_ value that has a name here.
LINK_TYPES: Final = tuple(_NAMES)


def link_name(link_type: int) -> str:
    """The name of a LINKTYPE_ value; LINKTYPE_n where we know none."""
    return _NAMES.get(link_type, f"LINKTYPE_{link_type}")
