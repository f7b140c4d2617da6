"""What every test in the lab needs of a machine; tests that share the session's lab run in one process."""

from __future__ import annotations

import pytest

from tests import needs

PROGRAMS = (
    "ip",
    "ethtool",
    "unshare",
    "bash",
    "ovs-vswitchd",
    "ovsdb-server",
    "nginx",
    "dnsmasq",
    "dig",
    "sshd",
    "ssh",
    "nft",
    "curl",
)
PROGRAMS += ("dumpcap", "tcpdump", "openssl")
LAB = [pytest.mark.lab, needs.root("for network namespaces"), *(needs.program(name) for name in PROGRAMS)]
SHARED = [*LAB, pytest.mark.xdist_group("dpu_lab")]
