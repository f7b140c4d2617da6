"""JA3, JA3S and JA4 out of the texts that the kernels write.

JA3 and JA3S: MD5 of version, ciphers, extensions, groups and point formats in decimal (Salesforce, BSD-3). JA4: counts, then
SHA-256 of the sorted ciphers and of the sorted extensions with the signature algorithms (FoxIO's technical details, JA4 for TLS
clients only, BSD-3).
"""

from __future__ import annotations

import hashlib
from typing import Final

_NONE: Final = "0" * 12


def ja3(text: bytes) -> str:
    """JA3 of its text."""
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def _short(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:12] if text else _NONE


def ja4(text: bytes) -> str:
    """JA4 of its three parts joined by underscores, without the letter of the transport: t, q or d."""
    counts, ciphers, extensions = text.split(b"_", 2)
    return f"{counts.decode('ascii', 'replace')}_{_short(ciphers)}_{_short(extensions)}"
