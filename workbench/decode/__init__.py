"""Bytes to columns. Pure: no file, no socket, no clock."""
