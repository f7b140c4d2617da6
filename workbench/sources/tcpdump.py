"""tcpdump writing to a pipe: pcap with nanoseconds where they are to be had.

On SIGUSR1 it says how much was dropped while it goes on, and once more when it ends.
"""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from typing import Final

from workbench.sources.capture_process import CaptureProcess, Drops
from workbench.sources.capture_words import CaptureWords

#: KiB of the kernel's buffer.
_BUFFER_KIB: Final = 65_536
_SAID: Final = re.compile(r"\b(\d{1,15}) packets? (captured|received by filter|dropped by kernel|dropped by interface)")


def start_tcpdump(path: str, words: CaptureWords) -> CaptureProcess:
    """Capture to a pipe; ExternalError where the program cannot be started. path: of the program.

    Immediate mode: otherwise the kernel keeps packets of a quiet network back for a second.
    """
    given = [path, "-n", "-U", "--immediate-mode", "-i", words.interface, "-B", str(_BUFFER_KIB), "-w", "-"]
    given += ["-s", str(words.snaplen)]
    if not words.promiscuous:
        given.append("-p")
    if words.bpf is not None:
        given += ["--", words.bpf]
    return CaptureProcess("tcpdump", given, hear_tcpdump, signal.SIGUSR1)


def hear_tcpdump(line: str, known: Drops) -> Drops:
    """What is known of its losses after this line of stderr: while it runs they stand on one, in the end on several."""
    names = {"captured": None, "received by filter": "received"}
    names |= {"dropped by kernel": "kernel", "dropped by interface": "interface"}
    for number, what in _SAID.findall(line):
        if (name := names[what]) is not None:
            known = replace(known, **{name: int(number)})
    return known
