"""Options records: what an exporter says of itself. Sampling, when it started, its active timeout."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.telemetry.exporters import MAX_SAMPLERS, Domain, Exporter
from workbench.decode.telemetry.templates import Template

_LATEST: Final = (1 << 62) // 1_000_000
_HIGHEST_RATE: Final = 1 << 30


def learn(exporter: Exporter, domain: Domain, template: Template, data: NDArray[np.uint8], message: int) -> None:
    """Take what matters out of whole records of an options template of fixed length."""
    dtype = template.dtype
    names = set(dtype.names or ())
    if not names & _USED:
        return
    for record in np.frombuffer(data.tobytes(), dtype):
        _sampling(exporter, domain, record, names, message)
        started = _number(record, names, "systemInitTimeMilliseconds")
        if 0 < started < _LATEST and started * 1_000_000 <= int(domain.clock[0]):
            domain.boot = started * 1_000_000
            if not domain.clock[1]:
                domain.clock[1] = domain.boot
        exporter.active = max(exporter.active, min(_number(record, names, "flowActiveTimeout"), 86_400))


def _sampling(exporter: Exporter, domain: Domain, record: Any, names: set[str], message: int) -> None:
    rate = min(_rate(record, names), _HIGHEST_RATE)
    if rate < 1:
        return
    sampler = _number(record, names, "selectorId") or _number(record, names, "samplerId")
    if not sampler:
        domain.sampling = rate
    elif sampler in domain.samplers or (len(domain.samplers) < MAX_SAMPLERS and exporter.room.take("samplers")):
        domain.samplers[sampler] = rate
    if rate > 1:
        exporter.tally.add("sampled", 0, message, f"1 in {rate}")


def _rate(record: Any, names: set[str]) -> int:
    """1 in N by whichever elements tell it (RFC 5477; NetFlow 9's); 0 where none does."""
    interval, space = (_number(record, names, f"samplingPacket{part}") for part in ("Interval", "Space"))
    if interval:
        return (interval + space) // interval
    size, population = _number(record, names, "samplingSize"), _number(record, names, "samplingPopulation")
    if size and population:
        return population // size
    if "samplingProbability" in names:
        share = float(np.frombuffer(bytes(record["samplingProbability"].tobytes()), ">f8")[0]) if _is_double(record) else 0.0
        if 0.0 < share <= 1.0:
            return max(1, round(1 / share))
    return _number(record, names, "samplerRandomInterval") or _number(record, names, "samplingInterval")


def _is_double(record: Any) -> bool:
    return bool(record.dtype["samplingProbability"].itemsize == 8)


def _number(record: Any, names: set[str], name: str) -> int:
    """An unsigned number of any length up to 8 bytes; 0 where the record has none."""
    if name not in names:
        return 0
    value = record[name]
    return int.from_bytes(value.tobytes()[-8:], "big") if value.dtype.kind == "V" else int(value)


_USED: Final = frozenset(
    {
        "samplingInterval",
        "samplerRandomInterval",
        "samplingPacketInterval",
        "samplingSize",
        "samplingProbability",
        "systemInitTimeMilliseconds",
        "flowActiveTimeout",
    }
)
