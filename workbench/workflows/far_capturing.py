"""The program that captures on a DPU: what it costs there, what it can't see, and how much of what crossed has arrived here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.records.reasons import LedgerLine
from workbench.settings import AttachSettings
from workbench.workflows.capturing import Capturing, FarFigures
from workbench.workflows.mirror import View, view_at
from workbench.workflows.requests import AttachRequest

if TYPE_CHECKING:
    from workbench.sources.remote_capture import RemoteCapture


class FarCapturing(Capturing):
    """As Capturing, through ssh or in a network namespace."""

    def __init__(self, request: AttachRequest, settings: AttachSettings) -> None:
        """Ask the switch there first. FarError where there is no way there, UsageError where the source names none."""
        super().__init__(request, settings)
        self._view: View = view_at(request.source)
        self._remote: RemoteCapture | None = None
        self._costs: list[str] = []
        self._counted_before: int | None = None
        self._counted_after: int | None = None

    @property
    def far(self) -> FarFigures:
        """What the far end says of itself, over the last seconds."""
        cost = self._remote.recent_cost if self._remote is not None else None
        if cost is None:
            return FarFigures(self._view.unseen)
        return FarFigures(self._view.unseen, cost.capture_cpu, cost.ssh_cpu, cost.bandwidth)

    @property
    def never_worked(self) -> bool:
        """ssh may try for longer than a capture here takes to fail: until the far end has spoken, nothing has begun."""
        return self.counted_first is None

    def open(self) -> int:
        """Start the capture there; that the way fails is seen when it ends."""
        from workbench.sources.capture_words import CaptureWords
        from workbench.sources.remote_capture import RemoteCapture
        from workbench.sources.ssh import parse_capture

        request, here = self._request, self._settings
        far, name = parse_capture(request.source)
        words = CaptureWords(name, request.bpf, request.snaplen, here.promiscuous)
        self._program = self._remote = RemoteCapture(far, words, here.program, self._view.watched)
        return self._program.fd

    def look(self) -> str | None:
        """Ask the program there what it dropped; the interface's counters come by themselves.

        A port without a carrier, or whose switch is gone, ends no capture: that nothing comes is a gap all the same.
        """
        remote = self._remote
        if remote is None:
            return None
        remote.ask_drops()
        self.counted = remote.counters() or self.counted
        self.counted_first = self.counted_first or self.counted
        if remote.last is not None and remote.last.carrier == 0:
            self.begin_gap("the port there has no carrier, or its switch is gone")
            return None
        return self.end_gap() if remote.last is not None else None

    def put_away(self) -> int | None:
        """As there; what it cost and what the ports counted is kept."""
        remote, self._remote = self._remote, None
        lost = super().put_away()
        if remote is not None:
            self._keep(remote)
        return lost

    def ledger(self, frames: int) -> list[LedgerLine]:
        """What is to be said of it. frames: packets that arrived, of all captures of this run."""
        from workbench.sources.remote_capture import coverage_words

        lines = []
        if self._request.source.startswith("ssh://"):
            lines.append(LedgerLine("own_connection", 1, (), "by its addresses and ports, as the DPU's sshd has them"))
        if self._view.unseen:
            lines.append(LedgerLine("far_unseen", len(self._view.unseen), (), " ".join(self._view.unseen)))
        if self._costs:
            lines.append(LedgerLine("far_cost", len(self._costs), (), self._costs[-1]))
        before, after = self._counted_before, self._counted_after
        if before is not None and after is not None and after > before and not self._request.bpf:
            told = coverage_words(frames, after - before, self._view.watched)
            lines.append(LedgerLine("coverage", after - before, (), told))
        return lines

    def _keep(self, remote: RemoteCapture) -> None:
        """Counters before the first capture and after the last: what crossed in a gap between counts as not captured."""
        from workbench.sources.remote_capture import cost_words

        if remote.cost is not None:
            self._costs.append(cost_words(remote.cost))
        before, after = remote.port_counts
        self._counted_before = before if self._counted_before is None else self._counted_before
        self._counted_after = after
