"""Packets to bidirectional flows."""
