"""DNS: RFC 1035 over UDP, RFC 7766 over TCP; the reader is also that of mDNS, LLMNR and the NetBIOS name service.

All four are one format and one table, `dns`; `kind` tells them apart, and `service` (dns, mdns, llmnr, nbns), so that whoever
looks for DNS on odd ports is not shown every printer. Zeek calls all of them dns; nDPI names them as we do.

One row per query, with the answer where one came within half a minute: same flow, id and first question, of several the
oldest. An answer whose query was not seen is a row of its own, as are the further messages of a zone transfer and what mDNS
announces to all, which has no query. What a name points to is shown; of other data only type and size, since TXT can hold
anything. Away from the four ports a message counts only where all of it can be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workbench.decode.application.protocol import Context, Cut, Framing, Probe, Protocol, Signature

if TYPE_CHECKING:
    from workbench.decode.application.dns_reader import DnsReader


def batch_reader(context: Context) -> DnsReader:
    """A reader of any of the four kinds."""
    from workbench.decode.application.dns_reader import DnsReader  # compiles, or loads, kernels

    return DnsReader(context)


#: The header behind the id: no reserved flag, fewer than 32 questions, fewer than 256 records in each section. A probe alone
#: would come after every signature that has bytes, and an id can look like anything.
HEADER: Final = bytes(10)
HEADER_MASK: Final = b"\0\x40\xff\xe0\xff\0\xff\0\xff\0"

PROTOCOL: Final = Protocol(
    name="dns",
    title="Domain Name System",
    framing={"udp": Framing(Cut.DATAGRAM), "tcp": Framing(Cut.LENGTH, at=0, width=2, add=2)},
    signatures=(
        Signature("udp", HEADER, at=2, mask=HEADER_MASK, probe=Probe.DNS, least=12),
        Signature("tcp", HEADER, at=4, mask=HEADER_MASK, probe=Probe.DNS_TCP, least=14),
        Signature("udp", probe=Probe.DNS, least=12),
        Signature("tcp", probe=Probe.DNS_TCP, least=14),
    ),
    tables=("dns",),
    ports=(53,),
    stays=True,
    batch=batch_reader,
    reference="RFC 1035, RFC 7766",
)
