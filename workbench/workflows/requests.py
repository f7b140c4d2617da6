"""What a face asks for and what it gets back: plain frozen values, cheap to import, safe to pickle.

The command line and the app build requests, workflows carry them out and answer with results. Nothing
heavy is imported here, so that `workbench --help` costs nothing but the parser.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from workbench.errors import WorkbenchError

Join = Literal["auto", "always", "never"]
KeyScope = Literal["both", "vni", "vlan", "none"]
TelemetryFormat = Literal["ipfix", "netflow", "sflow", "nfdump"]
InventoryFormat = Literal["kubernetes", "ovn", "libvirt", "claims"]

#: Kinds of sources that tell names and neither packets nor flows, as a case has them: they can have lost none.
NAMES_ONLY: Final = frozenset({"kubernetes", "ovn", "libvirt", "claims-csv"})


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """Index `paths` (files, folders, globs, '-' for standard input) into the case folder `case`.

    hash: SHA-256 of every file, beside the indexing. join: whether rotated files are one source.
    key_scope: what besides the 5-tuple keys a flow; None = as the settings have it. bpf: the capture filter
    (pcap-filter(7)) that packets must pass to be indexed; None or blank = all. telemetry: read the paths as flow telemetry of
    this format, captures of its datagrams included; None = captures as packets, raw files of telemetry as what they are.
    form: read the paths as logs of this format (queries/imports); None = whatever they are recognised as. queries: folders with
    formats of one's own. mapping: of CSV and Parquet, which of their columns is which of ours.
    """

    paths: tuple[str, ...]
    case: Path
    hash: bool = True
    join: Join = "auto"
    key_scope: KeyScope | None = None
    bpf: str | None = None
    telemetry: TelemetryFormat | None = None
    form: str | None = None
    queries: tuple[Path, ...] = ()
    mapping: Path | None = None


@dataclass(frozen=True, slots=True)
class InventoryRequest:
    """Import listings of who holds which address (files, folders, globs, '-') into the case folder `case`.

    hash: SHA-256 of every file. since: of listings without times (ovn, libvirt), since when what they list was held (naive UTC);
    None = since the file was written. network: of what is listed without one; None = any.
    """

    paths: tuple[str, ...]
    case: Path
    format: InventoryFormat
    hash: bool = True
    since: dt.datetime | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """Show the app.

    case: the folder to show; None = the list of recent cases. index: what to index into it while the
    app shows it; None when the case already holds everything that was named. attach: what to attach to
    while it is shown, into that request's case.
    """

    case: Path | None = None
    index: IndexRequest | None = None
    attach: AttachRequest | None = None


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """Index what arrives at `source` (an interface, or '-' for a capture on standard input) into the case, until stopped.

    bpf: as IndexRequest's; on an interface the kernel applies it. keep_payload: why packets are kept as they are; None: their
    application payload is zeroed. snaplen: bytes taken of each packet, 0 = all. seconds: stop by itself after so long.
    A source such as ipfix://:4739 is a port that exporters send telemetry to; exporters: addresses and networks that may, empty:
    as the settings have it.
    stdin: the descriptor that '-' stands for; the app reads its keys from 0. names: a cluster (kubernetes://CONTEXT) that is
    followed beside it, into the same case; None = none.
    """

    source: str
    case: Path
    bpf: str | None = None
    keep_payload: str | None = None
    snaplen: int = 0
    seconds: float | None = None
    exporters: tuple[str, ...] = ()
    stdin: int = 0
    names: str | None = None


@dataclass(frozen=True, slots=True)
class AttachStatus:
    """How a live source is doing. Counts since it began; rates over the last second or so.

    source_id: grows where a decoding process died. dropped: lost between the wire and us, None where nobody has said.
    behind: bytes that wait for the decoder. lag: seconds between the last packet's time stamp and now, None before the first.
    gaps: how often nothing captured. state: starting, capturing, waiting (for the interface to come back) or stopping.
    interface_packets: what the interface itself counted, None where it cannot.
    Of a port that takes telemetry, packets are datagrams, and these are known: exporters; records: of flows, and samples; lost:
    records and messages that were numbered and did not arrive; refused: datagrams of those not on the list.
    Of a capture on a DPU only: unseen, sentences on what it can't show; far_capture_cpu, far_ssh_cpu: shares of one of its cores;
    far_bits_per_second: what goes over ssh. Of a cluster, which has no packets: claims, how many were told.
    """

    source: str
    source_id: int
    state: str
    packets: int = 0
    bytes: int = 0
    flows: int = 0
    open_flows: int = 0
    packets_per_second: float = 0.0
    bits_per_second: float = 0.0
    dropped: int | None = None
    interface_packets: int | None = None
    interface_dropped: int | None = None
    behind: int = 0
    lag: float | None = None
    gaps: int = 0
    evidence_bytes: int = 0
    segment_bytes: int = 0
    note: str = ""
    exporters: int | None = None
    records: int | None = None
    lost: int | None = None
    refused: int | None = None
    unseen: tuple[str, ...] = ()
    far_capture_cpu: float | None = None
    far_ssh_cpu: float | None = None
    far_bits_per_second: float | None = None
    claims: int | None = None


AttachSink = Callable[[AttachStatus], None]


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """Show the app in browsers. words: the command line that each of them runs; port: of loopback, 0 for any."""

    words: tuple[str, ...] = ()
    port: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far indexing is, over all sources of the request.

    done_bytes, total_bytes: bytes of the files on disk; total is None while unknown (standard input).
    packets, flows: counted so far. source: the path being read. phase: one of PHASES.
    """

    done_bytes: int
    total_bytes: int | None
    packets: int
    flows: int
    source: str
    phase: str


#: Phases in the order they come; `compile` only in the first run of a version.
PHASES = ("compile", "read", "store", "finish", "name")

ProgressSink = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class IndexResult:
    """What an index run did.

    sources, ledger: the rows of those tables that this run concerns, as dictionaries by column name,
    with skipped sources (already in the case) included. seconds: wall time. refused: one error per
    file that yielded nothing. skipped: paths that the case already held. cancelled: the person stopped it;
    the case holds what was indexed until then. notes: what else a person should be told, such as why flows have no names.
    """

    case: Path
    sources: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    seconds: float
    refused: list[WorkbenchError] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    cancelled: bool = False
    notes: list[str] = field(default_factory=list)
