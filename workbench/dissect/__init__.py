"""Packets as tshark understands them, through pyshark, in a process of its own; only listed fields are shown."""
