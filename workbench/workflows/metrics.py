"""Figures of a live source for Prometheus (text exposition format 0.0.4), in a file or on a port of loopback."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from workbench.errors import MissingPathError
from workbench.sources.metrics_port import MetricsPort
from workbench.workflows.requests import AttachStatus

#: Field of AttachStatus to name, kind and help. Counters begin anew where a decoding process died, as after a restart.
_FIGURES: Final = (
    ("packets", "workbench_packets_total", "counter", "Packets indexed."),
    ("bytes", "workbench_read_bytes_total", "counter", "Bytes read from the capturing program."),
    ("flows", "workbench_flows_total", "counter", "Flows begun."),
    ("open_flows", "workbench_open_flows", "gauge", "Flows open now."),
    ("dropped", "workbench_dropped_packets_total", "counter", "Packets lost by the kernel or the capturing program."),
    ("interface_packets", "workbench_interface_packets_total", "counter", "Packets that the interface counted."),
    ("interface_dropped", "workbench_interface_dropped_packets_total", "counter", "Packets that the interface dropped."),
    ("behind", "workbench_behind_bytes", "gauge", "Bytes read and not yet decoded."),
    ("lag", "workbench_lag_seconds", "gauge", "Since the last packet's time stamp."),
    ("gaps", "workbench_capture_gaps_total", "counter", "Times in which nothing captured."),
    ("far_capture_cpu", "workbench_far_capture_cpu_cores", "gauge", "Share of a core that the capture on the DPU takes."),
    ("far_ssh_cpu", "workbench_far_ssh_cpu_cores", "gauge", "Share of a core that its sshd takes for it."),
    ("far_bits_per_second", "workbench_far_bits_per_second", "gauge", "What the capture sends from the DPU."),
    ("evidence_bytes", "workbench_evidence_bytes", "gauge", "Size of the evidence that is kept."),
    ("exporters", "workbench_exporters", "gauge", "Exporters that telemetry came from."),
    ("records", "workbench_telemetry_records_total", "counter", "Flow records and samples taken."),
    ("lost", "workbench_telemetry_lost_total", "counter", "Records or messages that exporters numbered and that did not arrive."),
    ("refused", "workbench_refused_datagrams_total", "counter", "Datagrams of exporters that are not on the list."),
    ("segment_bytes", "workbench_segment_bytes", "gauge", "Size of the rows that are not yet compacted."),
)


def page(status: AttachStatus | None, told: float) -> str:
    """The page; told: time.time() of the status. What nobody knows is left out, not zero."""
    if status is None:
        return ""
    source = status.source.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    lines = []
    for field, name, kind, words in _FIGURES:
        value = getattr(status, field)
        if value is not None:
            lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}", f'{name}{{source="{source}"}} {value}']
    lines += ["# HELP workbench_capturing Whether packets are being taken.", "# TYPE workbench_capturing gauge"]
    lines.append(f'workbench_capturing{{source="{source}"}} {int(status.state == "capturing")}')
    lines += ["# HELP workbench_told_seconds When this was.", "# TYPE workbench_told_seconds gauge"]
    lines.append(f'workbench_told_seconds{{source="{source}"}} {told:.3f}')
    return "\n".join(lines) + "\n"


class Metrics:
    """Keeps the page: `hear` takes each status."""

    def __init__(self, file: Path | None, port: int | None) -> None:
        """PortError; MissingPathError where the file cannot be written."""
        self._file = file
        self._page = ""
        self._write()
        self._port = None if port is None else MetricsPort(port, lambda: self._page)

    @property
    def port(self) -> int | None:
        """The port that is listened on."""
        return None if self._port is None else self._port.port

    def hear(self, status: AttachStatus) -> None:
        """Show this one."""
        self._page = page(status, time.time())
        with contextlib.suppress(MissingPathError):  # a full disk ends no capture: the figures there say when they were told
            self._write()

    def __enter__(self) -> Metrics:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._port is not None:
            self._port.close()

    def _write(self) -> None:
        if self._file is None:
            return
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            part.unlink(missing_ok=True)  # never through a link that somebody put there: others may write in that folder
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as sink:
                sink.write(self._page)
            part.replace(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise MissingPathError(
                f"{self._file} cannot be written: {error.strerror}", "Name another with --metrics-file."
            ) from error
