"""Names of the numbers in DNS messages, as IANA (DNS Parameters) and RFC 1002 write them."""

from __future__ import annotations

from typing import Final

#: kinds of DNS, by their number in kernels
KINDS: Final = ("dns", "mdns", "llmnr", "nbns")
DNS, MDNS, LLMNR, NBNS = range(4)

_LOW_TYPES: Final = """A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP NSAP-PTR SIG KEY PX
GPOS AAAA LOC NXT EID NIMLOC SRV ATMA NAPTR KX CERT A6 DNAME SINK OPT APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID NSEC3
NSEC3PARAM TLSA SMIMEA TYPE54 HIP NINFO RKEY TALINK CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD SVCB HTTPS"""
TYPES: Final = dict(enumerate(_LOW_TYPES.split(), 1)) | {
    99: "SPF", 100: "UINFO", 101: "UID", 102: "GID", 103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48",
    109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI",
    257: "CAA", 258: "AVC", 259: "DOA", 260: "AMTRELAY", 261: "RESINFO", 262: "WALLET", 263: "CLA",
}  # fmt: skip
#: types below this stand in tables; others are written TYPE and their number (RFC 3597)
KNOWN_TYPES: Final = 264
#: the same numbers mean other things to NetBIOS (RFC 1002, 4.2.1.2)
NBNS_TYPES: Final = {32: "NB", 33: "NBSTAT"}

CLASSES: Final = {1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
KNOWN_CLASSES: Final = 256

OPCODES: Final = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
NBNS_OPCODES: Final = {
    0: "QUERY", 5: "REGISTRATION", 6: "RELEASE", 7: "WACK", 8: "REFRESH", 9: "REFRESH", 15: "MULTIHOMED_REGISTRATION",
}  # fmt: skip

RCODES: Final = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
    8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE",
    20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}  # fmt: skip
#: response codes have twelve bits with EDNS (RFC 6891, 6.1.3)
MOST_RCODES: Final = 4096
NBNS_RCODES: Final = {
    0: "NOERROR", 1: "FMT_ERR", 2: "SRV_ERR", 3: "NAM_ERR", 4: "IMP_ERR", 5: "RFS_ERR", 6: "ACT_ERR", 7: "CFT_ERR",
}  # fmt: skip

#: flags by their bit in the header's second word
FLAGS: Final = {0x0400: "aa", 0x0200: "tc", 0x0100: "rd", 0x0080: "ra", 0x0020: "ad", 0x0010: "cd"}
NBNS_FLAGS: Final = {0x0400: "aa", 0x0200: "tc", 0x0100: "rd", 0x0080: "ra", 0x0010: "b"}


def type_name(number: int) -> str:
    """A resource record type: A, TYPE65280."""
    return TYPES.get(number, f"TYPE{number}")


def class_name(number: int) -> str:
    """A class: IN, CLASS42."""
    return CLASSES.get(number, f"CLASS{number}")


def flag_names(bits: int, kind: int = DNS) -> str:
    """The flags of a header's second word, comma separated."""
    names = NBNS_FLAGS if kind == NBNS else FLAGS
    return ",".join(name for bit, name in names.items() if bits & bit)
