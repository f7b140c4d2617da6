"""How an attach run is doing, as it is told about once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass

from workbench.workflows.capturing import Capturing
from workbench.workflows.live_source import LiveSource
from workbench.workflows.requests import AttachStatus


@dataclass(slots=True)
class Pace:
    """Packets and bits a second, over the time between the last two calls."""

    at: float
    packets: int = 0
    octets: int = 0
    packets_per_second: float = 0.0
    bits_per_second: float = 0.0

    def take(self, packets: int, octets: int) -> None:
        """The totals as they are now; a source that has just begun has less than the one before it."""
        now = time.monotonic()
        if now > self.at:
            self.packets_per_second = max(0, packets - self.packets) / (now - self.at)
            self.bits_per_second = 8 * max(0, octets - self.octets) / (now - self.at)
            self.at, self.packets, self.octets = now, packets, octets


def status_of(
    live: LiveSource,
    capturing: Capturing,
    pace: Pace,
    *,
    source: str,
    state: str,
    gaps: int,
    evidence_bytes: int,
    segment_bytes: int,
) -> AttachStatus:
    """What to tell. Sizes and gaps are those of the whole run, the rest is the present source's."""
    tick = live.tick
    pace.take(*((tick.packets, tick.bytes) if tick is not None else (0, 0)))
    far = capturing.far
    counted, lost = capturing.interface_counts
    lag = None if tick is None or tick.ts_last is None else max(0.0, time.time() - tick.ts_last / 1e9)
    return AttachStatus(
        source=source,
        source_id=live.source_id,
        state=state,
        packets=pace.packets,
        bytes=pace.octets,
        flows=tick.flows if tick is not None else 0,
        open_flows=tick.open_flows if tick is not None else 0,
        packets_per_second=pace.packets_per_second,
        bits_per_second=pace.bits_per_second,
        dropped=live.dropped(capturing.dropped),
        interface_packets=counted,
        interface_dropped=lost,
        behind=tick.behind if tick is not None else 0,
        lag=lag,
        gaps=gaps,
        evidence_bytes=evidence_bytes,
        segment_bytes=segment_bytes,
        note=capturing.gap_why,
        unseen=far.unseen,
        far_capture_cpu=far.capture_cpu,
        far_ssh_cpu=far.ssh_cpu,
        far_bits_per_second=far.bits_per_second,
    )
