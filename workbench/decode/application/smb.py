"""SMB 1, 2 and 3 (MS-CIFS, MS-SMB, MS-SMB2), directly over TCP or over NetBIOS sessions (RFC 1002, 4.3).

What is read and written is passed over, but for named pipes, whose DCE/RPC calls are counted in `dcerpc`. Names of files are
not kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from workbench.decode.application import smb_one, smb_two
from workbench.decode.application.protocol import Context, Cut, Framing, Malformed, Message, Protocol, Row, Signature
from workbench.decode.application.smb_seen import Seen

_ENCRYPTED: Final = b"\xfdSMB"
_COMPRESSED: Final = b"\xfcSMB"
_SESSION: Final = frozenset({0x81, 0x82, 0x83, 0x84, 0x85})  # NetBIOS: request, answers, keep-alive


class SmbReader:
    """One connection."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._seen = Seen(context)

    def message(self, message: Message) -> Iterable[Row]:
        """One NetBIOS session packet: four bytes of its header, then SMB."""
        data = message.data[4:]
        if message.data[:1] != b"\0":
            if message.data[:1] and message.data[0] in _SESSION:
                return []
            raise Malformed("SMB: no session packet begins here")
        magic = data[:4]
        if magic not in (smb_one.MAGIC, smb_two.MAGIC, _ENCRYPTED, _COMPRESSED):
            raise Malformed("SMB: no message in a session packet")
        self.services = self.services or ["smb"]
        try:
            if magic == smb_one.MAGIC:
                return smb_one.message(self._seen, message.ts, data)
            if magic == smb_two.MAGIC:
                return smb_two.message(self._seen, message.ts, data)
            return self._seen.sealed(message.ts, "ENCRYPTED" if magic == _ENCRYPTED else "COMPRESSED")
        finally:
            if self._seen.dcerpc:
                self.services = ["smb", "dcerpc"]

    def end(self) -> Iterable[Row]:
        """Everything that was counted, and what was never answered."""
        return self._seen.end()


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
    reader=SmbReader,
    reference="MS-SMB2, MS-CIFS",
)
