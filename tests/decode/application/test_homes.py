"""Which flows contradict their port."""

from __future__ import annotations

import pytest

from workbench.decode.application.homes import TRANSPORTS, homes, stayers, unexpected
from workbench.decode.application.registry import at_home, codes, protocols


@pytest.mark.parametrize(
    ("service", "proto", "src_port", "dst_port", "whose"),
    [
        ("ssh", 6, 50000, 443, ("tls",)),  # another's home
        ("ssh", 6, 50000, 8443, ("tls",)),
        ("ssh", 6, 50000, 2222, ()),  # nobody's, but SSH stays at home
        ("tls", 6, 50000, 22, ("ssh",)),
        ("http", 6, 50000, 443, ("tls",)),
        ("http,tls", 6, 50000, 443, ("tls",)),  # the outside counts
        ("smb,dcerpc", 6, 50000, 8445, ()),
        ("dns", 17, 50000, 443, ("quic", "dtls")),
        ("quic", 17, 50000, 53, ("dns",)),
        ("ssh", 6, 22, 443, ("tls",)),  # a source port is anybody's choice
    ],
)
def test_a_protocol_away_from_home_is_said(
    service: str, proto: int, src_port: int, dst_port: int, whose: tuple[str, ...]
) -> None:
    assert unexpected(service, proto, src_port, dst_port) == whose


@pytest.mark.parametrize(
    ("service", "proto", "src_port", "dst_port"),
    [
        ("ssh", 6, 50000, 22),
        ("http", 6, 50000, 5000),  # nobody's, and HTTP is anywhere
        ("tls", 6, 50000, 9443),
        ("smtp,tls", 6, 50000, 25),
        ("http2", 6, 50000, 8080),  # a guest
        ("tls", 6, 50000, 3269),
        ("dtls", 17, 50000, 443),
        ("dns", 17, 53, 50000),  # an answer whose question was not seen
        ("dcerpc", 6, 50000, 49667),  # its ports are handed out
        ("something", 6, 50000, 443),  # of no protocol that is known here
        ("ssh", 1, 8, 0),
        (None, 6, 50000, 443),
        ("ssh", 6, None, None),
    ],
)
def test_what_is_where_one_expects_it_says_nothing(
    service: str | None, proto: int, src_port: int | None, dst_port: int | None
) -> None:
    assert unexpected(service, proto, src_port, dst_port) is None


def test_homes_are_those_of_the_registry_and_guests_are_known() -> None:
    assert {(name, port) for name, port in homes()} == {(TRANSPORTS[name], port) for name, port in at_home()}
    assert {name for names in homes().values() for name in names} <= set(codes())
    assert all(protocol.ports for protocol in protocols() if protocol.stays or protocol.guests)
    assert stayers() == {"dns", "ftp", "kerberos", "ldap", "rdp", "smb", "ssh", "telnet"}
