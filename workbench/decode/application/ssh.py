"""SSH (RFC 4253): banners, key exchange, HASSH of both sides, and a guess at whether somebody came in.

The engine gives the banner, then each binary packet up to NEWKEYS with its header, then the first encrypted segments of each
direction as messages without bytes, whose `whole` says how many bytes came at a time. From these sizes the outcome is
guessed as Zeek does (`ssh_kernels`). Compression makes sizes worthless: nothing is said then.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import BatchReader, Context, Cut, Framing, Probe, Protocol, Signature


def _reader(_context: Context) -> BatchReader:
    from workbench.decode.application.ssh_reader import SshReader  # kernels: only where there is SSH

    return SshReader()


PROTOCOL: Final = Protocol(
    name="ssh",
    title="Secure Shell",
    framing=Framing(Cut.SSH, keep=8192),
    signatures=(Signature("tcp", b"SSH-", least=8, probe=Probe.SSH, strong=True),),
    tables=("ssh",),
    ports=(22,),
    stays=True,
    batch=_reader,
    reference="RFC 4253",
)
