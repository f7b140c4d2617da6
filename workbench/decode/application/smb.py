"""SMB 1, 2 and 3 (MS-CIFS, MS-SMB, MS-SMB2), directly over TCP or over NetBIOS sessions (RFC 1002, 4.3).

What is read and written is passed over, but for named pipes, whose DCE/RPC calls are counted in `dcerpc`. Names of files are
not kept.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import BatchReader, Context, Cut, Framing, Protocol, Signature


def _reader(context: Context) -> BatchReader:
    from workbench.decode.application.smb_reader import SmbReader  # late: its kernels are compiled when they are first wanted

    return SmbReader(context)


_MASK: Final = b"\xff\0\0\0\xff\xff\xff\xff"

PROTOCOL: Final = Protocol(
    name="smb",
    title="SMB",
    framing=Framing(Cut.LENGTH, keep=2_048, at=0, width=4, mask=0x00FFFFFF, add=4),
    signatures=(
        *(
            Signature("tcp", b"\0\0\0\0" + first + b"SMB", mask=_MASK, strong=True)
            for first in (b"\xfe", b"\xff", b"\xfd", b"\xfc")
        ),
        # a session request: 68 bytes, the called name's length and its first letter
        Signature("tcp", b"\x81\0\0\x44\x20\x40", mask=b"\xff\xff\xff\xff\xff\xe0", side="src"),
    ),
    tables=("smb", "dcerpc", "ntlm", "kerberos"),
    ports=(445, 139),
    stays=True,
    batch=_reader,
    reference="MS-SMB2, MS-CIFS",
)
