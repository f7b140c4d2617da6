"""Compiling this floor's kernels ahead of need, one by one, so that progress can be shown."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial

#: Modules that compile their kernels (or load them from numba's cache) when imported, with what they do.
_MODULES = (
    ("framing: pcap", "workbench.decode.framing_pcap"),
    ("framing: pcapng", "workbench.decode.pcapng_blocks"),
    ("decoding", "workbench.decode.packets"),
    ("counting", "workbench.decode.tally"),
    ("copying packets", "workbench.decode.pcapng_copy"),
    ("capture filters", "workbench.decode.bpf"),
    ("TLS", "workbench.decode.application.tls_kernels"),
    ("QUIC", "workbench.decode.application.quic_kernels"),
    ("hellos in QUIC", "workbench.decode.application.quic_hello"),
    ("NTP", "workbench.decode.application.ntp_kernels"),
    ("SSH", "workbench.decode.application.ssh_kernels"),
    ("HTTP", "workbench.decode.application.http_kernels"),
    ("RDMA", "workbench.decode.application.rdma_kernels"),
    ("SMB", "workbench.decode.application.smb_kernels"),
    ("DNS", "workbench.decode.application.dns_kernels"),
    ("telemetry", "workbench.decode.telemetry.kernels"),
)


def _load(module: str) -> None:
    importlib.import_module(module)


def kernels() -> Iterator[tuple[str, Callable[[], None]]]:
    """What is compiled, and a call that does it; a second call only loads it."""
    for name, module in _MODULES:
        yield name, partial(_load, module)
