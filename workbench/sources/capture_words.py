"""What a capture on an interface of this machine is asked for, and by which program; what is wrong where it gets nothing."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import Final, Literal

from workbench.errors import BpfError, CapturePermissionError, ExternalError, WorkbenchError
from workbench.sources.capture_process import CaptureProcess
from workbench.sources.ssh import LOST

Program = Literal["auto", "dumpcap", "tcpdump"]

_DENIED: Final = re.compile(r"permission|not permitted|don't have.*privileg|attempt to create packet socket", re.IGNORECASE)
_FILTER: Final = re.compile(r"syntax error|Invalid capture filter|can't parse filter|not a valid capture filter", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CaptureWords:
    """interface: as `check_interface` returned it. bpf: as `check_filter` returned it; the kernel applies it.

    snaplen: bytes kept of each packet, 0 for all. promiscuous: also what is not for this machine.
    """

    interface: str
    bpf: str | None = None
    snaplen: int = 0
    promiscuous: bool = True


def start_capture(words: CaptureWords, program: Program = "auto") -> CaptureProcess:
    """Start dumpcap, or tcpdump where that is missing or asked for. ExternalError where neither is installed."""
    from workbench.sources.dumpcap import start_dumpcap
    from workbench.sources.tcpdump import start_tcpdump

    starts = {"dumpcap": start_dumpcap, "tcpdump": start_tcpdump}
    for name in starts if program == "auto" else (program,):
        path = shutil.which(name)
        if path is not None:
            return starts[name](path, words)
    missing = "neither dumpcap nor tcpdump is installed" if program == "auto" else f"{program} is not installed"
    raise ExternalError(missing, "Install Wireshark's dumpcap (Debian: wireshark-common), or tcpdump.")


def why_ended(process: CaptureProcess) -> WorkbenchError:
    """The error for a capture that ended by itself, by what its program said."""
    from workbench.sources.remote_capture import RemoteCapture

    if isinstance(process, RemoteCapture) and process.exit_code == LOST:
        return process.why_ended()
    said = process.ended_how()
    if _DENIED.search(said):
        remedy = (
            "Run as root, or let dumpcap capture for a group: `setcap cap_net_raw,cap_net_admin+eip $(command -v dumpcap)`,"
            " and join that group (Debian: `dpkg-reconfigure wireshark-common`, `adduser USER wireshark`)."
        )
        return CapturePermissionError(said, remedy)
    if _FILTER.search(said):
        return BpfError(said, "Correct the filter (pcap-filter(7)); the interface's link type may not know what it asks.")
    return ExternalError(said, "Check the interface with `ip link`.")
