"""DNS: RFC 1035 over UDP, RFC 7766 over TCP, RFC 6762 (mDNS), RFC 4795 (LLMNR), RFC 1002 (NetBIOS name service).

All five are one format, one table (`dns`) and one service; what differs is `kind`, which the ports tell, and a second service
behind the first: `dns,mdns`, `dns,llmnr`, `dns,nbns`. So `service` begins as Zeek has it, and ends as nDPI has it.

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


def _reader(context: Context) -> DnsReader:
    from workbench.decode.application.dns_reader import DnsReader  # compiles, or loads, kernels

    return DnsReader(context)


PROTOCOL: Final = Protocol(
    name="dns",
    title="Domain Name System",
    framing={"udp": Framing(Cut.DATAGRAM), "tcp": Framing(Cut.LENGTH, at=0, width=2, add=2)},
    signatures=(Signature("udp", probe=Probe.DNS, least=12), Signature("tcp", probe=Probe.DNS_TCP, least=14)),
    tables=("dns",),
    ports=(53, 5353, 5355, 137),
    batch=_reader,
    reference="RFC 1035, RFC 7766, RFC 6762, RFC 4795, RFC 1002",
)
