"""The condition behind `service.unexpected`: a flow whose protocol contradicts its port (decode.application.homes).

It runs over every flow that has a service, so that names become small numbers first and pairs of name and port one number
each: text is compared once a distinct value, and the rest are sets of 32-bit integers.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from workbench.decode.application.homes import SYSTEM_PORTS, TRANSPORTS, homes, stayers
from workbench.decode.application.registry import protocols


@cache
def unexpected_condition() -> str:
    """SQL over a row of `flows`: the flows of which `homes.unexpected` is not None. It holds no value of a person's."""
    stay = sorted(stayers())
    known = stay + sorted({protocol.name for protocol in protocols()} - set(stay))
    code = {name: number for number, name in enumerate(known, 1)}
    taken = _listed(_place(proto, port) for proto, port in homes())
    at_home = _listed((code[name] << 18) + _place(*place) for place, names in homes().items() for name in names)
    names = ", ".join(f"'{name}'" for name in known)
    outside = f"list_position([{names}], split_part(service, chr(44), 1))"
    of_name, of_proto = f"{outside} * {1 << 18}", f"(proto & 3) * {1 << 16}"
    return (
        f"(service IS NOT NULL AND proto IN ({_listed(TRANSPORTS.values())})"
        f" AND ({outside} <= {len(stay)} OR {of_proto} + dst_port IN ({taken}))"
        f" AND {of_name} + {of_proto} + dst_port NOT IN ({at_home})"
        f" AND (dst_port < {SYSTEM_PORTS} OR {of_name} + {of_proto} + src_port NOT IN ({at_home})))"
    )


def _place(proto: int, port: int) -> int:
    """Protocol and port as one number: the lower two bits tell TCP, UDP and SCTP apart."""
    return ((proto & 3) << 16) + port


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
