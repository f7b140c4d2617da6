"""Policies as one table of nftables: written, read back, and what it does to every packet."""

from workbench.push.nft.meaning import prove, read_rules
from workbench.push.nft.writing import compile_rules

__all__ = ["compile_rules", "prove", "read_rules"]
