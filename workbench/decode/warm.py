"""What of this floor is compiled ahead of need: importing these modules compiles their kernels, or finds them in the cache."""

from __future__ import annotations

from typing import Final

#: (what it does, module), those that take longest first.
MODULES: Final = (
    ("SMB", "workbench.decode.application.smb_kernels"),
    ("QUIC", "workbench.decode.application.quic_kernels"),
    ("DNS", "workbench.decode.application.dns_kernels"),
    ("HTTP", "workbench.decode.application.http_kernels"),
    ("TLS", "workbench.decode.application.tls_kernels"),
    ("hellos in QUIC", "workbench.decode.application.quic_hello"),
    ("decoding", "workbench.decode.packets"),
    ("capture filters", "workbench.decode.bpf"),
    ("framing: pcap", "workbench.decode.framing_pcap"),
    ("framing: pcapng", "workbench.decode.pcapng_blocks"),
    ("counting", "workbench.decode.tally"),
    ("copying packets", "workbench.decode.pcapng_copy"),
    ("blanking payload", "workbench.decode.blanking"),
    ("NTP", "workbench.decode.application.ntp_kernels"),
    ("SSH", "workbench.decode.application.ssh_kernels"),
    ("RDMA", "workbench.decode.application.rdma_kernels"),
    ("telemetry", "workbench.decode.telemetry.kernels"),
)
