"""What may be written for a parameter, and what the SQL gets."""

import ipaddress

import pytest

from workbench.detections.parameters import Parameter
from workbench.errors import UsageError


def value(kind: str, written: object) -> object:
    return Parameter("p", kind, None, "").value(written)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "written", "bound"),
    [
        ("integer", "-12", -12),
        ("integer", 7, 7),
        ("number", "0.5", 0.5),
        ("number", 2, 2.0),
        ("text", "it's", "it's"),
        ("duration", "90s", 90.0),
        ("duration", "1.5h", 5400.0),
        ("duration", "250 ms", 0.25),
        ("duration", 60, 60.0),
        ("duration", "2d", 172800.0),
    ],
)
def test_values_that_are_taken(kind: str, written: object, bound: object) -> None:
    assert value(kind, written) == bound


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("integer", "1.5"),
        ("integer", True),
        ("integer", 2**63),
        ("integer", "9" * 25),
        ("integer", ""),
        ("number", "nan"),
        ("number", "inf"),
        ("number", "1e999"),
        ("text", 5),
        ("text", "a\0b"),
        ("text", "x" * 5000),
        ("duration", "90x"),
        ("duration", "-5s"),
        ("duration", True),
        ("prefixes", "10.0.0.0/33"),
        ("prefixes", ["10.0.0.0/8", 5]),
        ("prefixes", 5),
        ("prefixes", " ".join(["10.0.0.0/8"] * 300)),
    ],
)
def test_values_that_are_refused(kind: str, written: object) -> None:
    with pytest.raises(UsageError, match="no value of parameter p"):
        value(kind, written)


def test_prefixes_are_bounds_of_addresses() -> None:
    mapped = bytes(10) + b"\xff\xff"
    assert value("prefixes", "10.1.2.3/8, fd00::/8") == [
        {"low": mapped + b"\x0a\0\0\0", "high": mapped + b"\x0a\xff\xff\xff"},
        {"low": ipaddress.ip_address("fd00::").packed, "high": b"\xfd" + b"\xff" * 15},
    ]
    (nowhere,) = value("prefixes", "")  # type: ignore[misc]
    assert nowhere["low"] > nowhere["high"]
