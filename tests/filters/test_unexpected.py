"""`service.unexpected` in SQL keeps exactly the flows that `homes.unexpected` names."""

from __future__ import annotations

import duckdb
import pytest

from workbench.decode.application.homes import homes, unexpected
from workbench.decode.application.registry import protocols
from workbench.errors import FilterError
from workbench.filters import compile_filter, complete

PORTS = sorted({0, 1, 1023, 1024, 2222, 40000, 65535} | {port for _, port in homes()})
SERVICES = [None, "", "something", "smb,dcerpc", "smtp,tls", "http,tls", "ntlm,x", *(protocol.name for protocol in protocols())]


def test_the_condition_is_the_definition() -> None:
    rows = [
        (service, proto, src, dst)
        for service in SERVICES
        for proto in (1, 6, 17, 132)
        for dst in PORTS
        for src in (22, 53, 443, 50000)
    ] + [("ssh", 6, None, None), ("ssh", None, 1, 1)]
    sides = [list(column) for column in zip(*rows, strict=True)]
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE flows AS SELECT unnest($a) AS service, unnest($b)::INTEGER AS proto, unnest($c)::INTEGER AS src_port,"
            " unnest($d)::INTEGER AS dst_port",
            dict(zip("abcd", sides, strict=True)),
        )
        made = compile_filter("service.unexpected")
        kept = con.execute(f"SELECT * FROM flows WHERE {made.sql}", list(made.params)).fetchall()
        rest = con.execute(f"SELECT count(*) FROM flows WHERE {compile_filter('!service.unexpected').sql}").fetchone()
    wanted = [row for row in rows if unexpected(*row) is not None]
    assert sorted(kept) == sorted(wanted)  # type: ignore[type-var]
    assert len(wanted) > 1000
    assert rest == (len(rows) - len(wanted),)


def test_it_is_asked_alone() -> None:
    with pytest.raises(FilterError, match="is there or not, it has no value") as caught:
        compile_filter("service.unexpected == 1")
    assert "alone" in caught.value.remedy
    assert compile_filter("service == ssh && !service.unexpected").params == ("ssh",)


def test_it_is_offered() -> None:
    assert "service.unexpected" in [one.text for one in complete("service.un", 10, lambda *_: [])]
