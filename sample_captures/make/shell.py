"""A shell inside the sample's network, its servers running: ``make lab`` (root).

Another window can capture at the bridge meanwhile: ``ip netns exec $FABRIC dumpcap -i br0 -w - | workbench index - --case DIR``.
"""

from __future__ import annotations

import os
import subprocess
import sys

from sample_captures.make.esxi_lateral import GUESTS, HYPERVISORS, build, start_servers
from sample_captures.make.lab import Lab


def main() -> int:
    """Build the network, leave a shell in the administrator's host, take everything down when it ends."""
    if os.geteuid() != 0:
        print("make lab needs root: it makes network namespaces.", file=sys.stderr)
        return 4
    with Lab() as lab:
        build(lab)
        start_servers(lab)
        hosts = {name: address for name, (address, _role) in GUESTS.items()} | HYPERVISORS
        for name, address in hosts.items():
            print(
                f"{address:<14} {name:<8} ip netns exec {lab.space(name)} COMMAND" if name in GUESTS else f"{address:<14} {name}"
            )
        print(
            f"The bridge is br0 in {lab.space('fabric')} ($FABRIC). This shell is in admin; leave it and all of this goes away."
        )
        line, environment = lab.command("admin", [os.environ.get("SHELL", "/bin/sh")])
        return subprocess.run(line, env={**environment, "FABRIC": lab.space("fabric")}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
