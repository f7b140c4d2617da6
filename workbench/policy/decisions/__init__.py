"""Decision diagrams with many outcomes: what a policy says of every packet of an address family, as one shared graph.

Values of a field that no rule tells apart are one class, so a diagram asks for the bits of a class number and not for those of
an address: IPv6 costs what IPv4 does. `dd` is what the answers are tested against (policy.diagrams).
"""
