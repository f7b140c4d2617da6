"""`workbench attach`: index what arrives, until it is told to stop."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat
from workbench.cli.indexing import need_terminal
from workbench.cli.interrupt import cancel_on_interrupt
from workbench.cli.messages import tell, tell_error
from workbench.errors import ExitCode
from workbench.workflows.requests import AttachRequest, AttachStatus, IndexResult, OpenRequest

if TYPE_CHECKING:
    from workbench.workflows.attach import AttachResult
    from workbench.workflows.drift_watch import DriftNews


class StatusChoice(StrEnum):
    """How the status is told on stderr."""

    TEXT = "text"
    JSON = "json"
    OFF = "off"


def attach(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="An interface, ssh://user@dpu/p0, netns:NAME/p0, - for a capture on standard input, or ipfix://:4739, netflow://:2055,"
            " sflow://:6343; kubernetes://CONTEXT for names.",
            show_default=False,
        ),
    ],
    case: options.LiveCase = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Without the app: for a service, or a terminal of its own.")
    ] = False,
    bpf: Annotated[
        str | None,
        typer.Option(
            "--bpf",
            metavar="FILTER",
            help="Take only packets that pass this capture filter, as tcpdump has it.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    keep_payload: Annotated[
        str | None,
        typer.Option(
            "--keep-payload",
            metavar="REASON",
            help="Keep packets as they are, not with their payload zeroed. The reason is logged.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    snaplen: Annotated[
        int,
        typer.Option(
            "--snaplen", metavar="BYTES", min=0, max=262_144, help="Bytes taken of each packet; metadata is lost. 0: all."
        ),
    ] = 0,
    exporter: Annotated[
        list[str] | None,
        typer.Option(
            "--exporter",
            metavar="ADDRESS",
            help="Take telemetry from this address or network only; again for others.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    status: Annotated[StatusChoice, typer.Option("--status", help="How stderr is told how it goes.")] = StatusChoice.TEXT,
    every: Annotated[float, typer.Option("--status-every", metavar="SECONDS", min=0.5, help="How often.")] = 5.0,
    names: Annotated[
        str | None,
        typer.Option(
            "--names",
            metavar="CLUSTER",
            help="Follow a cluster beside it, kubernetes://CONTEXT, so that flows are named while they come.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, help="Stop after so long. Default: at Ctrl-C.", show_default=False)
    ] = None,
    metrics_file: Annotated[
        Path | None,
        typer.Option("--metrics-file", metavar="FILE", help="Keep figures for Prometheus in this file.", show_default=False),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", min=0, max=65535, help="Offer them on this port of loopback.", show_default=False),
    ] = None,
    form: options.Summary = SummaryFormat.TABLE,
) -> int | OpenRequest:
    """Index live traffic into a case, in the app or without it; others can read it meanwhile.

    Quitting the app, Ctrl-C or SIGTERM ends it: what is open is written, and the case compacted.
    """
    if case is None:
        from workbench.workflows.live_case import live_case

        case = live_case(source, dt.datetime.now(dt.UTC))
    request = AttachRequest(source, case, bpf, keep_payload, snaplen, seconds, tuple(exporter or ()), names=names)
    if not headless:
        need_terminal(piped=source == "-")
        from workbench.workflows.attach import checked_request

        return OpenRequest(case, attach=checked_request(request))
    from workbench.workflows.attach import attach as run
    from workbench.workflows.drift_watch import Beside

    with cancel_on_interrupt() as stop, ExitStack() as stack:
        telling = _Telling(status, every)
        sinks = [telling.hear]
        if metrics_file is not None or metrics_port is not None:
            from workbench.workflows.metrics import Metrics

            metrics = stack.enter_context(Metrics(metrics_file, metrics_port))
            if metrics.port is not None:
                tell(f"Metrics on http://127.0.0.1:{metrics.port}/metrics")
            sinks.append(metrics.hear)

        def hear(now: AttachStatus) -> None:
            for sink in sinks:
                sink(now)

        stack.enter_context(Beside(case, telling.drift))
        result = run(request, hear, stop)
    return _said(result, form)


class _Telling:
    """Status lines on stderr. every: seconds between two; a change of state is told at once."""

    def __init__(self, form: StatusChoice, every: float) -> None:
        self._form = form
        self._every = every
        self._due = 0.0
        self._state = ""

    def hear(self, status: AttachStatus) -> None:
        """Tell it, if it is time."""
        now = time.monotonic()
        if not self._state and self._form is not StatusChoice.JSON:  # its lines have them
            for sentence in status.unseen:
                tell(f"not seen: {sentence}")
        if self._form is StatusChoice.OFF:
            self._state = status.state
            return
        if now < self._due and status.state == self._state:
            return
        self._due, self._state = now + self._every, status.state
        tell(as_json(status) if self._form is StatusChoice.JSON else as_text(status))

    def drift(self, news: DriftNews) -> None:
        """Somebody changed rules on a target of the settings, put them back, or nobody can say. From another thread."""
        if self._form is StatusChoice.JSON:
            tell(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **asdict(news)}))
        elif self._form is StatusChoice.TEXT:
            tell(news.text())


def as_json(status: AttachStatus) -> str:
    """One line of JSON: every figure under its name, and the time."""
    fields = {name: getattr(status, name) for name in AttachStatus.__dataclass_fields__}
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in fields.items()}
    return json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **rounded})


def as_text(status: AttachStatus) -> str:
    """One line for people."""
    if status.exporters is not None:
        return _collecting(status)
    if status.claims is not None:
        clock = time.strftime("%H:%M:%S", time.gmtime())
        gaps = [f"{status.gaps} gaps"] if status.gaps else []
        return " · ".join(
            [f"{clock}Z {status.source} {status.state}", f"{status.claims:,} claims", *gaps, *filter(None, [status.note])]
        )
    clock = time.strftime("%H:%M:%S", time.gmtime())
    lost = "drops not told" if status.dropped is None else f"{status.dropped:,} dropped"
    parts = [
        f"{clock}Z {status.source} {status.state}",
        f"{status.packets_per_second:,.0f} packets/s",
        f"{status.bits_per_second / 1e6:,.1f} Mbit/s",
        f"{status.packets:,} packets",
        f"{status.flows:,} flows ({status.open_flows:,} open)",
        lost,
    ]
    if status.interface_dropped:
        parts.append(f"{status.interface_dropped:,} dropped by the interface")
    if status.far_capture_cpu is not None:
        parts.append(f"{100 * status.far_capture_cpu:.1f}% of a core there")
    if status.far_bits_per_second is not None:
        parts.append(f"{status.far_bits_per_second / 1e6:,.1f} Mbit/s from there")
    if status.gaps:
        parts.append(f"{status.gaps} gaps")
    if status.behind:
        parts.append(f"{status.behind / 1e6:,.1f} MB behind")
    if status.note:
        parts.append(status.note)
    return " · ".join(parts)


def _collecting(status: AttachStatus) -> str:
    """The same of a port that takes telemetry."""
    lost = "drops not told" if status.dropped is None else f"{status.dropped:,} dropped"
    parts = [
        f"{time.strftime('%H:%M:%S', time.gmtime())}Z {status.source} {status.state}",
        f"{status.packets_per_second:,.0f} messages/s",
        f"{status.exporters:,} exporters",
        f"{status.packets:,} messages",
        f"{status.records:,} records",
        f"{status.flows:,} flows ({status.open_flows:,} open)",
        lost,
    ]
    for count, words in ((status.lost, "lost on the way"), (status.refused, "refused"), (status.gaps, "gaps")):
        if count:
            parts.append(f"{count:,} {words}")
    if status.note:
        parts.append(status.note)
    return " · ".join(parts)


def _said(result: AttachResult, form: SummaryFormat) -> int:
    from workbench.cli.summary import print_json, print_tables

    shown = IndexResult(result.case, result.sources, result.ledger, result.seconds)
    (print_json if form is SummaryFormat.JSON else print_tables)(shown)
    sys.stdout.flush()
    if result.error is not None:
        return tell_error(result.error)
    return int(ExitCode.OK)
