"""Who may send telemetry here: addresses and networks. Datagrams have no other proof of where they come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from workbench.errors import UsageError
from workbench.records.visible import visible

#: Addresses whose answer is remembered.
_REMEMBERED: Final = 4096


class Allowed:
    """Everybody, or those of a list."""

    def __init__(self, networks: Sequence[str]) -> None:
        """networks: 192.0.2.1, 192.0.2.0/24, 2001:db8::/32; empty: everybody. UsageError where one is none."""
        self._networks = []
        for network in networks:
            try:
                self._networks.append(ipaddress.ip_network(network.strip(), strict=False))
            except ValueError:
                raise UsageError(
                    f"{visible(network)!r} is no address or network of exporters", "Write such as 192.0.2.1 or 2001:db8::/32."
                ) from None
        self._answers: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        """Whether that address may send."""
        if not self._networks:
            return True
        found = self._answers.get(address)
        if found is None:
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            there = ipaddress.ip_address(address)
            found = self._answers[address] = any(there in network for network in self._networks)
        return found
