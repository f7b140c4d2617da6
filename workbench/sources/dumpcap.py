"""dumpcap, Wireshark's capturing program: pcapng with interface statistics to a pipe.

It says what was dropped when it ends, on stderr and in the statistics block, and nothing while it runs.
"""

from __future__ import annotations

import re
from typing import Final

from workbench.sources.capture_process import CaptureProcess, Drops
from workbench.sources.capture_words import CaptureWords

#: MiB of the kernel's buffer: at 1 Gbit/s half a second in which we may be busy.
BUFFER_MIB: Final = 64
#: Seconds that a block of packets may wait in the kernel until dumpcap hears of it (250 ms, measured), and a little more.
#: dumpcap that is told to end does not look there once more.
BEHIND: Final = 0.3
_DROPPED: Final = re.compile(
    r"Packets received/dropped on interface .*: (\d{1,15})/(\d{1,15})"
    r" \(pcap:(\d{1,15})/dumpcap:(\d{1,15})/flushed:(\d{1,15})/ps_ifdrop:(\d{1,15})\)"
)


def start_dumpcap(path: str, words: CaptureWords) -> CaptureProcess:
    """Capture to a pipe; ExternalError where the program cannot be started. path: of the program."""
    given = [path, "-q", "-i", words.interface, "-B", str(BUFFER_MIB), "-w", "-"]
    if words.snaplen:
        given += ["-s", str(words.snaplen)]
    if not words.promiscuous:
        given.append("-p")
    if words.bpf is not None:
        given += ["-f", words.bpf]
    return CaptureProcess("dumpcap", given, hear_dumpcap, behind=BEHIND)


def hear_dumpcap(line: str, known: Drops) -> Drops:
    """What is known of its losses after this line of stderr."""
    found = _DROPPED.search(line)
    if found is None:
        return known
    received, _, kernel, program, flushed, interface = map(int, found.groups())
    return Drops(received, kernel, interface, program + flushed)
