"""Bytes of messages, as they are read here."""

from __future__ import annotations

from typing import Any, TypeAlias

#: A contiguous array of uint8, which struct reads in place. NumPy's types do not say that it can.
Wire: TypeAlias = Any
