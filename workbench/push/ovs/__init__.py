"""Policies as OpenFlow flows of Open vSwitch: written, read back, and what they do to every packet."""

from workbench.push.ovs.meaning import prove
from workbench.push.ovs.reading import read_flows
from workbench.push.ovs.writing import compile_rules

__all__ = ["compile_rules", "prove", "read_flows"]
